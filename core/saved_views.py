"""Saved views: an address of the dashboard with its filters, under a name. Kept in the home."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from core.credentials import Role
from core.sqlite import opened

LOCK_SECONDS = 5.0
LONGEST_NAME, LONGEST_SEARCH, LONGEST_ADDRESS = 64, 2000, 254
MOST_OF_USER = 100
# One address: a list, a name or a second address before or after it would have the mail sent to others too, also as an
# encoded word (`=?utf-8?q?…?=`).
_ADDRESS = re.compile(r"(?!.*=\?)[\w.!#$%&'*+/=?^`{|}~-]+@\w([\w-]*\w)?(\.\w([\w-]*\w)?)*")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS views (
    owner TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, search TEXT NOT NULL, shared TEXT NOT NULL,
    mail TEXT NOT NULL, saved TEXT NOT NULL, sent TEXT NOT NULL DEFAULT '', PRIMARY KEY (owner, name)
);
CREATE TABLE IF NOT EXISTS alerts (
    owner TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, PRIMARY KEY (owner, name)
);
"""


class ViewError(Exception):
    """A view cannot be saved, or is not there. The message says why."""


@dataclass(frozen=True)
class View:
    """A view of the user `owner`: the page's path and the query of its address, with `?`.

    `shared` is the role that also sees it, or empty. `mail` is where its weekly digest goes, or empty. `sent` is the
    Monday (ISO date) of the last digest, or empty.
    """

    owner: str
    name: str
    path: str
    search: str
    shared: str = ""
    mail: str = ""
    saved: str = ""
    sent: str = ""

    def visible_to(self, user: str, role: Role) -> bool:
        """Whether a user sees it. An admin sees all views that are shared."""
        return self.owner == user or (self.shared != "" and role in (self.shared, Role.ADMIN))


class SavedViews:
    """The views of all users. Each call opens the file. Methods raise `ViewError`, also if the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with opened(self._path, _SCHEMA, LOCK_SECONDS) as db:
                yield db
        except (sqlite3.Error, OSError) as error:
            raise ViewError(f"saved views cannot be used: {error}") from error

    def save(self, view: View) -> None:
        """Save a view, in place of the owner's view with the same name. Its digest is due on the next Monday."""
        name = view.name.strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise ViewError(f"give the view a name of at most {LONGEST_NAME} characters")
        if len(view.search) > LONGEST_SEARCH:
            raise ViewError("the address is too long to be saved")
        # Others follow the link: the query must not turn the path into another host (`//example.com`).
        if view.search and not (view.search.startswith("?") and view.search.isprintable()):
            raise ViewError("the address is not valid")
        mail = view.mail.strip()
        if mail and (len(mail) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(mail)):
            raise ViewError("the e-mail address is not valid")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._open() as db:
            ((others,),) = db.execute("SELECT count() FROM views WHERE owner = ? AND name != ?", (view.owner, name))
            if others >= MOST_OF_USER:
                raise ViewError(f"you have {MOST_OF_USER} views: delete one first")
            db.execute(
                "INSERT OR REPLACE INTO views (owner, name, path, search, shared, mail, saved, sent) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (view.owner, name, view.path, view.search, view.shared, mail, now, view.sent),
            )

    def delete(self, owner: str, name: str) -> None:
        """Delete a view of a user. Does nothing if it is gone."""
        with self._open() as db:
            db.execute("DELETE FROM views WHERE owner = ? AND name = ?", (owner, name))
            db.execute("DELETE FROM alerts WHERE owner = ? AND name = ?", (owner, name))

    def delete_all(self, owner: str) -> None:
        """Delete the views of a user who is removed."""
        if self._path.exists():
            with self._open() as db:
                db.execute("DELETE FROM views WHERE owner = ?", (owner,))
                db.execute("DELETE FROM alerts WHERE owner = ?", (owner,))

    def views(self) -> list[View]:
        """Return all views, by name."""
        if not self._path.exists():
            return []
        names = ", ".join(field.name for field in fields(View))
        with self._open() as db:
            return [View(*row) for row in db.execute(f"SELECT {names} FROM views ORDER BY name, owner")]  # noqa: S608

    def of(self, user: str, role: Role) -> list[View]:
        """Return the views that a user sees, by name."""
        return [view for view in self.views() if view.visible_to(user, role)]

    def find(self, name: str, owner: str = "") -> View:
        """Return the view with a name, which without `owner` must be the only one of this name."""
        found = [view for view in self.views() if view.name == name and owner in ("", view.owner)]
        if not found:
            raise ViewError(f"there is no view {name}")
        if len(found) > 1:
            raise ViewError(f"{', '.join(view.owner for view in found)} have a view {name}: name its owner")
        return found[0]

    def checked(self, view: View) -> str:
        """Return the last day (ISO date) that was checked for an alert, "" for none."""
        with self._open() as db:
            row = db.execute("SELECT day FROM alerts WHERE owner = ? AND name = ?", (view.owner, view.name)).fetchone()
        return str(row[0]) if row else ""

    def mark_checked(self, view: View, day: str) -> None:
        """Note that a day was checked, and an alert of it sent."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?)", (view.owner, view.name, day))

    def mark_sent(self, view: View, monday: str) -> None:
        """Note that the digest of a week was sent."""
        with self._open() as db:
            db.execute("UPDATE views SET sent = ? WHERE owner = ? AND name = ?", (monday, view.owner, view.name))
