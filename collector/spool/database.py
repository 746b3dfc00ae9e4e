"""The spool's file: a connection, transactions, and checks of free disk space and of the clock."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.rights import schema as rights_schema
from collector.spool.schema import ADDED, SCHEMA, TRIGGER
from core.sqlite import read_only

# How long a writer waits for the lock at most. A suspended process may hold it.
LOCK_SECONDS = 5.0
CACHE_KIB = 8 << 10
LOG_PAGES = 4 << 10
# Reject beacons before the disk is full: ClickHouse on the same disk handles a full disk worse than the collector does.
WATERMARK_BYTES = 256 << 20
WATERMARK_SHARE = 0.05
# Pharos was written after this time, so an earlier one is that of a clock which nobody has set.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class Unavailable(Exception):
    """The spool cannot store beacons now; the message says why."""


def check_space(folder: Path, needed: int = 0) -> None:
    """Raise `Unavailable` when the folder's disk is fuller than the watermark, or would be with `needed` bytes more."""
    disk = os.statvfs(folder)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    if free - needed < min(WATERMARK_BYTES, size * WATERMARK_SHARE):
        raise Unavailable(f"the disk is nearly full: {free >> 20} MiB free")


def check_clock(now: float) -> None:
    """Raise `Unavailable` if the clock shows a time before `EARLIEST`.

    A beacon that is received then would count on that day, and would expire at once when the clock is right.
    """
    if now < EARLIEST:
        raise Unavailable(f"the clock shows {datetime.fromtimestamp(now, UTC):%Y-%m-%d}: set it")


class Database:
    """One connection to the spool's file. Use it in one thread at a time."""

    def __init__(self, path: Path, *, only_read: bool = False) -> None:
        self.path = path
        if only_read:
            self.db = read_only(path, LOCK_SECONDS)
            return
        if not path.exists():
            path.touch(mode=0o600)  # -wal and -shm get the same mode
        self.db = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA secure_delete = ON")
        # Each new id changes a random page of `seen`, which has 2 MB. Keep its pages in memory, and copy them from the
        # log into the file once for many commits: with `seen` full, a commit of 16 beacons then takes 10% less CPU.
        self.db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self.db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        self.db.executescript(SCHEMA)
        rights_schema.create(self.db)
        for table, column, kind in ADDED:
            if column not in [name for _, name, *_ in self.db.execute(f"PRAGMA table_info({table})")]:
                self.db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        if self.db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall() != [("remember_id",)]:
            self.db.executescript(TRIGGER)
        # SQLite's own busy handler sleeps up to 100 ms at a time. `_locked` retries every half millisecond.
        self.db.execute("PRAGMA busy_timeout = 0")

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    def checkpoint(self) -> bool:
        """Move the log into the file and truncate it, so that no bytes of loaded beacons remain.

        Returns False while another connection reads the log. Raises `Unavailable` when the file cannot grow; the log
        then keeps its content.
        """
        busy, *_ = self._locked("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def free_bytes(self) -> int:
        """Return the number of free bytes on the spool's disk."""
        return shutil.disk_usage(self.path.parent).free

    def check_space(self, needed: int = 0) -> None:
        """Raise `Unavailable` if the free space, less `needed` bytes, is below the watermark."""
        check_space(self.path.parent, needed)

    def _locked(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement that takes the write lock, and wait for the lock. Raises `Unavailable`."""
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
    def unlocked_sync(self) -> Iterator[None]:
        """Sync the transaction inside this block after its commit, when other writers have the lock already.

        It is on disk when the block ends. Whoever commits meanwhile syncs it too, because the log is one file.
        """
        self.db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self.db.execute("PRAGMA synchronous = FULL")
        with Path(f"{self.path}-wal").open("rb") as log:
            os.fsync(log.fileno())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction: commit, or roll back on an exception. Raises `Unavailable`."""
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
