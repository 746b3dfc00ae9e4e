"""What waits to be sent to the webhook's receiver. Kept in the home, so that no kill and no power cut loses an event.

An event has one id for ever, and the same bytes each time that it is sent. Its row stays after it was sent, without its
content, so that a repeated reading of its source does not send it again.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.sqlite import opened, read_only

LOCK_SECONDS = 5.0
DAY_SECONDS = 86400.0
# The pause before an event that was not taken is sent again doubles each time, between these.
PAUSE_SECONDS = (10.0, 3600.0)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS webhook_events (
    id TEXT PRIMARY KEY, taken REAL NOT NULL, subject TEXT NOT NULL, body BLOB NOT NULL, tries INTEGER NOT NULL,
    due REAL NOT NULL, done REAL
);
CREATE INDEX IF NOT EXISTS webhook_due ON webhook_events (due) WHERE done IS NULL;
CREATE TABLE IF NOT EXISTS webhook_state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class OutboxError(Exception):
    """The outbox cannot be used. The message says why."""


@dataclass(frozen=True)
class Waiting:
    """An event that waits. `subject` is the name of its case, `tries` how often it was sent in vain."""

    id: str
    subject: str
    body: bytes
    tries: int


@dataclass(frozen=True)
class Told:
    """How it goes: the number of events that wait, since when the oldest does (epoch), when the last was taken (epoch),
    and what failed since ("": nothing).
    """

    waiting: int
    oldest: float | None
    delivered: float | None
    trouble: str


class Outbox:
    """The events. Each call opens the file and is one transaction. Methods raise `OutboxError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with opened(self._path, _SCHEMA, LOCK_SECONDS) as db:
                db.execute("PRAGMA secure_delete = ON")
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"the outbox cannot be used: {error}") from error

    def mark(self) -> float | None:
        """Return the time (epoch) up to which the source was read, None before the first reading."""
        with self._open() as db:
            found = _state(db, "mark")
        return float(found) if found else None

    def take(self, events: Iterable[tuple[str, str, bytes]], mark: float, now: float) -> int:
        """Store events (id, subject, body) that are not there yet, and the new mark; return how many were new."""
        with self._open() as db:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO webhook_events VALUES (?, ?, ?, ?, 0, ?, NULL)",
                ((id, now, subject, body, now) for id, subject, body in events),
            )
            taken = db.total_changes - before
            _set(db, "mark", str(mark))
        return taken

    def unknown(self, events: Iterable[tuple[str, str, bytes]]) -> list[tuple[str, str, bytes]]:
        """Return those of the events that were never taken."""
        with self._open() as db:
            known = {id for (id,) in db.execute("SELECT id FROM webhook_events")}
        return [event for event in events if event[0] not in known]

    def count(self) -> int:
        """Return how many events wait."""
        with self._open() as db:
            return _count(db)

    def due(self, now: float, most: int) -> list[Waiting]:
        """Return events that are to be sent now, those that wait longest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT id, subject, body, tries FROM webhook_events WHERE done IS NULL AND (due <= ? OR due > ?) "
                "ORDER BY due, taken, id LIMIT ?",
                # What is due after the longest pause was noted under a clock that was ahead.
                (now, now + PAUSE_SECONDS[1], most),
            ).fetchall()
        return [Waiting(*row) for row in rows]

    def delivered(self, id: str, now: float) -> None:
        """Note that the receiver took an event."""
        with self._open() as db:
            db.execute("UPDATE webhook_events SET done = ?, subject = '', body = '' WHERE id = ?", (now, id))
            _set(db, "delivered", str(now))
            _set(db, "trouble", "")

    def failed(self, event: Waiting, why: str, now: float) -> None:
        """Note that the receiver did not take an event. It is due again after a pause."""
        pause = min(PAUSE_SECONDS[0] * 2 ** min(event.tries, 20), PAUSE_SECONDS[1])
        with self._open() as db:
            db.execute("UPDATE webhook_events SET tries = tries + 1, due = ? WHERE id = ?", (now + pause, event.id))
            _set(db, "trouble", why)

    def give_up(self, now: float) -> int:
        """Drop the events that wait for a day; return how many. Forget those that were done long ago."""
        with self._open() as db:
            found = db.execute(
                "UPDATE webhook_events SET done = ?, subject = '', body = '' WHERE done IS NULL AND taken < ?",
                (now, now - DAY_SECONDS),
            )
            # The source is read a day back at most, so an older id is never met again.
            db.execute("DELETE FROM webhook_events WHERE done < ?", (now - 2 * DAY_SECONDS,))
            return found.rowcount

    def subjects(self) -> set[str]:
        """Return the names of the cases of the events that wait."""
        with self._open() as db:
            return {
                subject for (subject,) in db.execute("SELECT DISTINCT subject FROM webhook_events WHERE done IS NULL")
            }

    def drop(self, subjects: Collection[str], now: float) -> None:
        """Drop the events of these cases."""
        with self._open() as db:
            db.executemany(
                "UPDATE webhook_events SET done = ?, subject = '', body = '' WHERE done IS NULL AND subject = ?",
                ((now, subject) for subject in subjects),
            )

    def told(self) -> Told:
        """Return how it goes."""
        with self._open() as db:
            return _told(db)

    def told_from_outside(self) -> Told | None:
        """Return how it goes without writing anything; None if there is no outbox yet."""
        try:
            with closing(read_only(self._path, LOCK_SECONDS)) as db:
                found = db.execute("SELECT count() FROM sqlite_master WHERE name = 'webhook_state'").fetchone()
                return _told(db) if found[0] else None
        except FileNotFoundError:
            return None
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"the outbox cannot be read: {error}") from error


def _told(db: sqlite3.Connection) -> Told:
    ((oldest,),) = db.execute("SELECT min(taken) FROM webhook_events WHERE done IS NULL")
    delivered = _state(db, "delivered")
    return Told(_count(db), oldest, float(delivered) if delivered else None, _state(db, "trouble"))


def _count(db: sqlite3.Connection) -> int:
    ((waiting,),) = db.execute("SELECT count() FROM webhook_events WHERE done IS NULL")
    return int(waiting)


def _state(db: sqlite3.Connection, name: str) -> str:
    row = db.execute("SELECT value FROM webhook_state WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def _set(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO webhook_state VALUES (?, ?)", (name, value))
