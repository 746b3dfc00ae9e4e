"""When each user last visited a page. What happened since is marked as new there. Kept in the home."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from core.sqlite import opened

LOCK_SECONDS = 5.0
# A visit ends when nothing was read for so long.
PAUSE_SECONDS = 30 * 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS visits (
    who TEXT NOT NULL, page TEXT NOT NULL, latest REAL NOT NULL, before REAL, PRIMARY KEY (who, page)
);
"""


class Visits:
    """The visits of all users. Each call opens the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, who: str, page: str, now: datetime) -> datetime | None:
        """Note that a user reads a page; return the end of the visit before, None if this is the first one.

        Raises `sqlite3.Error` and `OSError`.
        """
        time = now.timestamp()
        with opened(self._path, _SCHEMA, LOCK_SECONDS) as db:
            row = db.execute("SELECT latest, before FROM visits WHERE who = ? AND page = ?", (who, page)).fetchone()
            latest, before = row or (None, None)
            if latest is not None and time - latest > PAUSE_SECONDS:
                before = latest
            # A visit that goes on is written about once a minute.
            if latest is None or time - latest > 60:
                db.execute("INSERT OR REPLACE INTO visits VALUES (?, ?, ?, ?)", (who, page, time, before))
        return None if before is None else datetime.fromtimestamp(before, UTC)


def noted(visits: Visits, who: str, page: str, now: datetime) -> datetime | None:
    """Like `Visits.note`. Where the file cannot be used nothing is new, and the page still works."""
    try:
        return visits.note(who, page, now)
    except (sqlite3.Error, OSError):
        return None
