"""The spool: beacons that were answered for, on disk until ClickHouse has them.

One SQLite file (WAL, synchronous=FULL) that all workers write and one loader drains. The order of a beacon's life,
each line one transaction that is on disk before the next begins:

1. `store`    the beacon's rows and its duplicate id          → 202 may be sent
2. `seal`     a range of beacons becomes a batch with an id for each plane; what it holds is fixed from here on
3. `loaded`   the batch's rows of one plane are in ClickHouse (a crash before this line sends the same batch again,
              under the same token, and ClickHouse drops it)
4. `delete`   both planes have it: beacons and batch go; the duplicate id stays for `HORIZON_DAYS`

A power cut leaves each of them done or not begun. The order of writes, which SQLite keeps under these settings:

- The folder is synced once a new file and a new log (-wal) are in it, before the log's first transaction.
- A transaction's pages go to the end of the log, the last of them with the mark of the commit, and the log is synced
  before the call returns. Pages without that mark, or torn ones, are not read.
- Pages go from the log into the file only after the log is synced; the log is emptied, begun anew or removed only after
  the file is synced.
- The -shm file is never synced: it is made anew from the log.
"""

import os
import re
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

# Where a row of a beacon goes: a plane, or, of a restricted install, both planes' rows sealed into one.
Plane = Literal["usage", "license", "sealed"]
PLANES: tuple[Plane, ...] = ("usage", "license", "sealed")

HORIZON_DAYS = 30
# A writer waits at most this long for the others (a stopped process may hold the lock).
LOCK_SECONDS = 5.0
# Refuse before the disk is full: ClickHouse on the same disk breaks in worse ways than we do.
WATERMARK_BYTES = 256 << 20
WATERMARK_SHARE = 0.05
# ClickHouse writes a file for each month of a batch, in each table, and refuses a batch of too many.
MOST_MONTHS = 100
_NO_END = 2**63 - 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS beacons (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, received INTEGER NOT NULL, usage BLOB NOT NULL,
    license BLOB NOT NULL, sealed BLOB NOT NULL DEFAULT x'');
CREATE TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS remember AFTER INSERT ON beacons
    BEGIN INSERT INTO seen VALUES (NEW.id, NEW.received / 86400); END;
CREATE TABLE IF NOT EXISTS batches (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, usage TEXT, license TEXT, sealed TEXT);
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, plane TEXT NOT NULL, received INTEGER NOT NULL, row BLOB NOT NULL,
    error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY CHECK (one = 1), loader TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS limits (who TEXT PRIMARY KEY, minute INTEGER NOT NULL, beacons INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS loading (
    one INTEGER PRIMARY KEY CHECK (one = 1), loaded INTEGER NOT NULL DEFAULT 0, fresh_to REAL, since REAL, why TEXT);
INSERT OR IGNORE INTO loading (one) VALUES (1);
CREATE TABLE IF NOT EXISTS installs (
    who INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, erased REAL NOT NULL, objected INTEGER NOT NULL,
    restricted INTEGER NOT NULL, changed REAL NOT NULL, told INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS retired (plane TEXT NOT NULL, install TEXT NOT NULL, PRIMARY KEY (plane, install))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT OR IGNORE INTO decisions VALUES (1, 0);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ticket BLOB UNIQUE NOT NULL, public INTEGER NOT NULL, action TEXT NOT NULL,
    received INTEGER NOT NULL, after INTEGER NOT NULL, work BLOB, step TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
    done INTEGER, result BLOB, told INTEGER NOT NULL DEFAULT 0);
DROP TABLE IF EXISTS rates;
"""
# Columns that spools of before do not have.
_ADDED = (("beacons", "sealed", "BLOB NOT NULL DEFAULT x''"), ("batches", "sealed", "TEXT"))
# The beginning of whichever row a beacon has: its date is there.
_HEADS = """
SELECT seq, substr(coalesce(nullif(usage, x''), nullif(sealed, x''), license), 1, 128) FROM beacons
WHERE seq <= ? ORDER BY seq LIMIT ?
"""
_MONTH = re.compile(rb'"(?:day|time)":"(\d{4}-\d{2})')


class Unavailable(Exception):
    """The spool cannot take beacons now; the message says why."""


@dataclass(frozen=True)
class Row:
    """A beacon on its way: its keyed duplicate id and its JSON line for each plane, b"" where it has none."""

    seen: bytes
    usage: bytes
    license: bytes
    sealed: bytes = b""


@dataclass(frozen=True)
class Batch:
    """A sealed batch: the beacons `first` to `last`, and its id in each plane (None once that plane has it)."""

    first: int
    last: int
    usage: str | None
    license: str | None
    sealed: str | None = None

    def id(self, plane: Plane) -> str | None:
        """The batch's id in `plane`: None when the plane has it already."""
        id: str | None = getattr(self, plane)
        return id


@dataclass(frozen=True)
class Stats:
    """What lies in the spool: beacons, the oldest one's time of receipt (epoch seconds), sealed batches, quarantine."""

    beacons: int
    oldest: int | None
    last: int
    sealed: int
    quarantined: int


@dataclass(frozen=True)
class Loading:
    """How the loader gets on; times are epoch seconds, None for not yet.

    `loaded` beacons since the spool was made; all that was taken up to `fresh_to` is in the aggregates; `since` when
    it cannot load, None while it can, and `why`.
    """

    loaded: int
    fresh_to: float | None
    since: float | None
    why: str


@dataclass(frozen=True)
class Quarantined:
    """A row that ClickHouse refused: its plane, time of receipt (epoch seconds) and what ClickHouse said."""

    id: int
    plane: Plane
    received: int
    error: str


class Spool:
    """One connection to the spool file; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.touch(mode=0o600)  # -wal and -shm take their mode from it
        self.db = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA secure_delete = ON")
        self.db.executescript(_SCHEMA)
        for table, column, kind in _ADDED:
            if column not in [name for _, name, *_ in self.db.execute(f"PRAGMA table_info({table})")]:
                self.db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        # SQLite's own waiting sleeps up to 100 ms at a time; `_locked` asks again every half millisecond.
        self.db.execute("PRAGMA busy_timeout = 0")

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    def store(self, rows: list[Row], now: float) -> list[bool]:
        """Put beacons on disk; True for each that is new, False for a duplicate. Raises `Unavailable`."""
        (fresh,) = self.store_groups([Group(rows)], now)
        assert isinstance(fresh, list)  # noqa: S101 - a group without limit and version is never refused
        return fresh

    def store_groups(self, groups: list["Group"], now: float) -> list["Stored"]:
        """Put the beacons of several requests on disk in one commit.

        For each group: as `store`; or the seconds to wait when it is over a limit; or None when somebody has decided
        something since `Group.version`, and its beacons have to be split again.
        """
        versions = {group.version for group in groups if group.version is not None}
        if not any(group.limits for group in groups) and len(versions) < 2 and any(group.rows for group in groups):
            try:
                # Nearly always all are new: then one statement is all, and is its own transaction. sqlite3 lets go of
                # the interpreter around each statement and has to queue for it again behind the requests' threads.
                rows = [row for group in groups for row in group.rows]
                if self._insert(rows, int(now), next(iter(versions), None)):
                    return [[True] * len(group.rows) for group in groups]
            except sqlite3.IntegrityError:
                pass  # a duplicate is among them, and nothing was stored
        with self.transaction():
            version = self.version()
            return [
                (self._over_limit(group, now) or self._store_new(group.rows, int(now)))
                if group.version in (None, version)
                else None
                for group in groups
            ]

    def _insert(self, rows: list[Row], now: int, version: int | None = None) -> bool:
        """Insert all rows, or none when `version` is no longer that of the decisions; whether they were."""
        marks = ",".join(["(?,?,?,?,?)"] * len(rows))
        values: list[Any] = [v for row in rows for v in (row.seen, now, row.usage, row.license, row.sealed)]
        source = f"VALUES {marks}"
        if version is not None:
            source = f"SELECT * FROM ({source}) WHERE (SELECT version FROM decisions) = ?"  # noqa: S608
            values.append(version)
        sql = f"INSERT INTO beacons (id, received, usage, license, sealed) {source}"
        return self._locked(sql, values).rowcount == len(rows)

    def version(self) -> int:
        """How many decisions of owners there were: the version of `standings`."""
        return int(self.db.execute("SELECT version FROM decisions").fetchone()[0])

    def standings(self) -> tuple[int, list[tuple[int, int, float, int, int]]]:
        """The version, and of each install that decided anything (who, epoch, erased, objected, restricted)."""
        with self.transaction():
            rows = self.db.execute("SELECT who, epoch, erased, objected, restricted FROM installs").fetchall()
            return self.version(), rows

    def _store_new(self, rows: list[Row], now: int) -> list[bool]:
        known = self.known([row.seen for row in rows])
        fresh: list[bool] = []
        for row in rows:
            fresh.append(row.seen not in known)
            known.add(row.seen)
        if new := [row for row, is_new in zip(rows, fresh, strict=True) if is_new]:
            self._insert(new, now)
        return fresh

    def count(self, group: "Group", things: int) -> int:
        """Count things that are no beacons against the limits of a group; as `store_groups`, 0 or seconds to wait."""
        with self.transaction():
            return self._over_limit(group, time.time(), things)

    def _over_limit(self, group: "Group", now: float, things: int = 0) -> int:
        """0, or the seconds until the next minute when this group would be over one of its limits."""
        minute = int(now // 60)
        used = {}
        for who, most in group.limits:
            row = self.db.execute("SELECT beacons FROM limits WHERE who = ? AND minute = ?", (who, minute)).fetchone()
            used[who] = len(group.rows) + things + (row[0] if row else 0)
            if used[who] > most:
                return 60 - int(now % 60)
        for who, beacons in used.items():
            self.db.execute("REPLACE INTO limits VALUES (?, ?, ?)", (who, minute, beacons))
        return 0

    def known(self, ids: list[bytes]) -> set[bytes]:
        """Which of these duplicate ids were stored before."""
        marks = ",".join("?" * len(ids))
        return {id for (id,) in self.db.execute(f"SELECT id FROM seen WHERE id IN ({marks})", ids)}  # noqa: S608

    def loader_id(self) -> str:
        """The id under which this spool's loader tells how far it is; the same after each start."""
        with self.transaction():
            self.db.execute("INSERT OR IGNORE INTO identity VALUES (1, ?)", (str(uuid.uuid4()),))
            return str(self.db.execute("SELECT loader FROM identity").fetchone()[0])

    def seal(self, most: int, last: int | None = None) -> Batch | None:
        """The next batch to load: the oldest sealed one, else up to `most` beacons sealed now; None for none.

        No beacon behind number `last` is sealed, and a batch spans at most `MOST_MONTHS` months.
        """
        if batch := self._oldest_batch():
            return batch
        # Read before the lock: only the loader, which calls this, takes beacons away.
        heads = self.db.execute(_HEADS, (_NO_END if last is None else last, most))
        numbers = _within_months(heads, MOST_MONTHS)
        if not numbers:
            return None
        batch = Batch(numbers[0], numbers[-1], *(str(uuid.uuid4()) for _ in PLANES))
        with self.transaction():
            self._add_batch(batch)
        return batch

    def _oldest_batch(self) -> Batch | None:
        row = self.db.execute(
            "SELECT first, last, usage, license, sealed FROM batches ORDER BY first LIMIT 1"
        ).fetchone()
        return Batch(*row) if row else None

    def _add_batch(self, batch: Batch) -> None:
        self.db.execute(
            "INSERT INTO batches (first, last, usage, license, sealed) VALUES (?, ?, ?, ?, ?)",
            (batch.first, batch.last, batch.usage, batch.license, batch.sealed),
        )

    def rows(self, batch: Batch, plane: Plane) -> list[bytes]:
        """The JSON lines of a batch in one plane, in an order that only that plane's own content decides."""
        found = self.db.execute(
            f"SELECT {plane} FROM beacons WHERE seq BETWEEN ? AND ?",  # noqa: S608
            (batch.first, batch.last),
        )
        return sorted(row for (row,) in found if row)  # from quarantine a row comes back in one plane alone

    def loaded(self, batch: Batch, plane: Plane) -> Batch:
        """Note that a plane has the batch; returns the batch as it stands now."""
        with self.transaction():
            self.db.execute(f"UPDATE batches SET {plane} = NULL WHERE first = ?", (batch.first,))  # noqa: S608
        changes: dict[str, Any] = {plane: None}
        return replace(batch, **changes)

    def delete(self, batch: Batch) -> None:
        """Forget a batch that both planes have, and its beacons."""
        span = (batch.first, batch.last)
        with self.transaction():
            loaded = self.db.execute("DELETE FROM beacons WHERE seq BETWEEN ? AND ?", span).rowcount
            self.db.execute("DELETE FROM batches WHERE first = ?", (batch.first,))
            self.db.execute("UPDATE loading SET loaded = loaded + ?", (loaded,))

    def split(self, batch: Batch) -> None:
        """Cut a batch in two with new ids; no row of it is in the planes that it still names."""
        middle = (batch.first + batch.last) // 2
        ids = [[batch.id(plane) and str(uuid.uuid4()) for plane in PLANES] for _ in range(2)]
        with self.transaction():
            self.db.execute("DELETE FROM batches WHERE first = ?", (batch.first,))
            self._add_batch(Batch(batch.first, middle, *ids[0]))
            self._add_batch(Batch(middle + 1, batch.last, *ids[1]))

    def renumber(self) -> None:
        """Give every sealed batch new ids, in the planes that do not have it yet: this file is a copy of another's.

        What the old ids brought since, the copied tables hold as the work of another batch: the loader leaves it out.
        """
        with self.transaction():
            for first, *ids in self.db.execute("SELECT first, usage, license, sealed FROM batches").fetchall():
                new = [id and str(uuid.uuid4()) for id in ids]
                self.db.execute("UPDATE batches SET usage = ?, license = ?, sealed = ? WHERE first = ?", (*new, first))

    def quarantine(self, batch: Batch, plane: Plane, error: str) -> None:
        """Put the one row of a batch aside for a person to look at; the other plane still gets its row."""
        with self.transaction():
            self.db.execute(
                f"INSERT INTO quarantine (plane, received, row, error) "  # noqa: S608
                f"SELECT ?, received, {plane}, ? FROM beacons WHERE seq = ?",
                (plane, error, batch.first),
            )
            self.db.execute(f"UPDATE batches SET {plane} = NULL WHERE first = ?", (batch.first,))  # noqa: S608

    def quarantined(self) -> list[Quarantined]:
        """The rows that were set aside, oldest first, without what they hold."""
        found = self.db.execute("SELECT id, plane, received, error FROM quarantine ORDER BY id")
        return [Quarantined(*row) for row in found]

    def retry_quarantined(self, id: int) -> bool:
        """Put a row back for the loader; False when there is none of that id."""
        with self.transaction():
            row = self.db.execute("SELECT plane, received, row FROM quarantine WHERE id = ?", (id,)).fetchone()
            if row is None:
                return False
            plane, received, content = row
            self._insert([replace(Row(os.urandom(16), b"", b""), **{plane: content})], received)
            self.db.execute("DELETE FROM quarantine WHERE id = ?", (id,))
        return True

    def drop_quarantined(self, id: int) -> bool:
        """Delete a row that was set aside, for good; False when there is none of that id."""
        with self.transaction():
            return self.db.execute("DELETE FROM quarantine WHERE id = ?", (id,)).rowcount > 0

    def forget(self, now: float, most: int = 5000) -> int:
        """Drop up to `most` duplicate ids older than the horizon; returns how many."""
        with self.transaction():
            self.db.execute("DELETE FROM limits WHERE minute < ?", (int(now) // 60,))
            return self.db.execute(
                "DELETE FROM seen WHERE id IN (SELECT id FROM seen WHERE day < ? LIMIT ?)",
                (int(now) // 86400 - HORIZON_DAYS, most),
            ).rowcount

    def checkpoint(self) -> bool:
        """Move the log into the file and empty it, so that loaded beacons leave no bytes behind.

        Returns False while somebody reads the log, raises `Unavailable` when the file cannot grow: the log then keeps
        what it has.
        """
        busy, *_ = self._locked("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def stats(self) -> Stats:
        """What lies in the spool now.

        Beacons leave in the order of their numbers, so first and last tell how many there are; counting them would
        read them all, which after hours without ClickHouse are gigabytes.
        """
        first, last = self.db.execute(
            "SELECT (SELECT min(seq) FROM beacons), (SELECT max(seq) FROM beacons)"
        ).fetchone()
        oldest = None
        if first is not None:
            (oldest,) = self.db.execute("SELECT received FROM beacons WHERE seq = ?", (first,)).fetchone()
        sealed = self.db.execute("SELECT count(*) FROM batches").fetchone()[0]
        quarantined = self.db.execute("SELECT count(*) FROM quarantine").fetchone()[0]
        return Stats(last - first + 1 if last else 0, oldest, last or 0, sealed, quarantined)

    def loading(self) -> Loading:
        """How the loader gets on."""
        loaded, fresh_to, since, why = self.db.execute("SELECT loaded, fresh_to, since, why FROM loading").fetchone()
        return Loading(loaded, fresh_to, since, why or "")

    def note_fresh(self, fresh_to: float) -> None:
        """Note up to when the aggregates hold all, and that the loader can load."""
        with self.transaction():
            self.db.execute("UPDATE loading SET fresh_to = ?, since = NULL, why = NULL", (fresh_to,))

    def note_trouble(self, now: float, why: str) -> None:
        """Note that the loader cannot load; `since` stays that of the first time."""
        with self.transaction():
            self.db.execute("UPDATE loading SET since = coalesce(since, ?), why = ?", (now, why))

    def last(self) -> int:
        """The number of the newest beacon that was ever stored."""
        row = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'beacons'").fetchone()
        return int(row[0]) if row else 0

    def loaded_up_to(self, last: int) -> bool:
        """Whether all beacons up to number `last` are in ClickHouse."""
        return self.db.execute("SELECT 1 FROM beacons WHERE seq <= ? LIMIT 1", (last,)).fetchone() is None

    def free_bytes(self) -> int:
        """How much of the disk is free."""
        return shutil.disk_usage(self._path.parent).free

    def check_space(self) -> None:
        """Raise `Unavailable` when the disk is fuller than the watermark."""
        disk = os.statvfs(self._path.parent)
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        if free < min(WATERMARK_BYTES, size * WATERMARK_SHARE):
            raise Unavailable(f"the disk is nearly full: {free >> 20} MiB free")

    def _locked(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement that takes the write lock, as soon as the other writers let it. Raises `Unavailable`."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                return self.db.execute(sql, values)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise Unavailable(f"the spool cannot be written: {error}") from error
                if time.monotonic() > deadline:
                    raise Unavailable("the spool is locked by another process") from error
                time.sleep(0.0005)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One commit, or nothing. Raises `Unavailable`."""
        self._locked("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise Unavailable(f"the spool cannot be written: {error}") from error
            raise


def _within_months(heads: Iterable[tuple[int, bytes]], most: int) -> list[int]:
    """The numbers of the first beacons that are of at most so many months together."""
    months = set()
    numbers = []
    for number, head in heads:
        months.add(found[1] if (found := _MONTH.search(head)) else b"")
        if len(months) > most:
            break
        numbers.append(number)
    return numbers


@dataclass(frozen=True)
class Group:
    """The beacons of one request, the limits that they count against (who, beacons a minute), and the version of the
    decisions under which they were split (None: none of them can be concerned)."""

    rows: list[Row]
    limits: tuple[tuple[str, int], ...] = ()
    version: int | None = None


# New or duplicate, for each row; or seconds to wait; or None: to be split again.
Stored = list[bool] | int | None
