"""The access log: every read of the license plane, with reader, time and filters. Append-only, in the home.

Entries are never changed, and are removed only by age. Triggers enforce this for our own code. Each entry has an HMAC
of itself and the previous entry, under a key of the root secret. `broken` detects edits that were made without the key.
Removing the newest entries leaves no trace in the file, so log lines also record each entry, by number and mark.
"""

import hashlib
import hmac
import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.home import Home, derive
from core.settings import Settings

KEPT_DAYS = 396  # 13 months, like the license plane
# Longer than any filter of the page or the API.
MOST_TEXT = 100

log = logging.getLogger("pharos.access")

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS looks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL,
    what TEXT NOT NULL, question TEXT NOT NULL, rows INTEGER NOT NULL, mark BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS forgotten (
    one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL, time INTEGER NOT NULL, mark BLOB NOT NULL,
    seal BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS looks_stay_as_they_are BEFORE UPDATE ON looks
    BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS looks_stay BEFORE DELETE ON looks
    WHEN OLD.time > CAST(strftime('%s', 'now') AS INTEGER) - {KEPT_DAYS * 86400}
    BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;
"""


class AccessLogError(Exception):
    """A read cannot be recorded, so it must not happen, or the log cannot be read."""


@dataclass(frozen=True)
class AccessLogEntry:
    """An entry: `who` (a login, or `token` and its id) read `rows` rows through `what` with the filters `question`."""

    id: int
    time: int
    who: str
    role: str
    what: str
    question: dict[str, str]
    rows: int


class AccessLog:
    """The file `path` under the key `key`. Each call opens it: any number of threads and processes may use it."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key

    @classmethod
    def of(cls, settings: Settings, home: Home) -> "AccessLog":
        """Return the access log of a home. Raises `HomeError`."""
        return cls(home.access_log, derive(home.root_secret(settings), "access log"))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.touch(mode=0o600)
            db = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            try:
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA secure_delete = ON")
                db.executescript(_SCHEMA)
                yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            raise AccessLogError(f"{self._path.name} cannot be used: {error}") from error

    def record(self, who: str, role: str, what: str, question: Mapping[str, str], rows: int) -> None:
        """Record a read durably. Raises `AccessLogError`: the caller must then return no rows."""
        asked = {name[:MOST_TEXT]: value[:MOST_TEXT] for name, value in question.items()}
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            id, before = self._last(db)
            look = AccessLogEntry(id + 1, int(time.time()), who, role, what, asked, rows)
            mark = self._mark(before, look)
            db.execute(
                "INSERT INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (look.id, look.time, who, role, what, _encoded(asked), rows, mark),
            )
            self._forget(db, look.time - KEPT_DAYS * 86400)
            db.execute("COMMIT")
        log.info("look %d at the license plane, mark %s", look.id, mark[:8].hex())

    def entries(self, most: int, who: str = "") -> list[AccessLogEntry]:
        """Return the newest entries, newest first, optionally only those of `who`. Raises `AccessLogError`."""
        with self._open() as db:
            rows = db.execute(
                "SELECT id, time, who, role, what, question, rows FROM looks WHERE ? IN ('', who) "
                "ORDER BY id DESC LIMIT ?",
                (who, most),
            ).fetchall()
        return [_look(*row) for row in rows]

    def broken(self) -> str:
        """Describe what was changed in the file, "" if nothing was. Raises `AccessLogError`."""
        with self._open() as db:
            forgotten = db.execute("SELECT id, time, mark, seal FROM forgotten").fetchone()
            rows = db.execute("SELECT id, time, who, role, what, question, rows, mark FROM looks ORDER BY id")
            last, mark = 0, b""
            if forgotten is not None:
                last, when, mark, seal = forgotten
                old = when <= time.time() - KEPT_DAYS * 86400
                if not (old and hmac.compare_digest(seal, self._seal(last, when, mark))):
                    return "entries were removed too early"
            for *row, stored in rows:
                look = _look(*row)
                if look.id != last + 1:
                    return f"entry {last + 1} is missing"
                if not hmac.compare_digest(stored, self._mark(mark, look)):
                    return f"entry {look.id} was changed"
                last, mark = look.id, stored
            highest = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'looks'").fetchone()
        return f"entry {last + 1} is missing" if highest and highest[0] > last else ""

    def _last(self, db: sqlite3.Connection) -> tuple[int, bytes]:
        """Return the highest number ever assigned, and the mark of the newest entry, present or removed."""
        highest = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'looks'").fetchone()
        found = db.execute("SELECT mark FROM looks ORDER BY id DESC LIMIT 1").fetchone()
        found = found or db.execute("SELECT mark FROM forgotten").fetchone()
        return highest[0] if highest else 0, bytes(found[0]) if found else b""

    def _forget(self, db: sqlite3.Connection, before: int) -> None:
        # Stop at the first recent entry: a clock that was wrong for a while must not leave a gap.
        row = db.execute(
            "SELECT id, time, mark FROM looks WHERE id < (SELECT id FROM looks WHERE time >= ? ORDER BY id LIMIT 1) "
            "ORDER BY id DESC LIMIT 1",
            (before,),
        ).fetchone()
        if row is not None:
            db.execute("DELETE FROM looks WHERE id <= ?", (row[0],))
            db.execute("INSERT OR REPLACE INTO forgotten VALUES (1, ?, ?, ?, ?)", (*row, self._seal(*row)))

    def _mark(self, before: bytes, look: AccessLogEntry) -> bytes:
        told = [look.id, look.time, look.who, look.role, look.what, _encoded(look.question), look.rows]
        return hmac.digest(self._key, before + json.dumps(told).encode(), hashlib.sha256)

    def _seal(self, id: int, when: int, mark: bytes) -> bytes:
        return hmac.digest(self._key, f"forgotten {id} {when} ".encode() + mark, hashlib.sha256)


def _encoded(question: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(question.items())))


def _look(id: int, when: int, who: str, role: str, what: str, question: str, rows: int) -> AccessLogEntry:
    return AccessLogEntry(id, when, who, role, what, json.loads(question), rows)
