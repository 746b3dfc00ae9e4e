"""Helpers for tests of the duplicate memory: a manual clock, and all remembered ids."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector import compaction
from collector.spool import Spool
from collector.spool.duplicates import Duplicates
from collector.spool.segments import Segment, open_ids

DAY = 86400


class HandClock:
    """A boot clock that the test sets."""

    def __init__(self) -> None:
        self.boot = "first"
        self.seconds = 1000.0

    def __call__(self) -> tuple[str, float]:
        return self.boot, self.seconds

    def days(self, days: float) -> None:
        """Advance the clock."""
        self.seconds += days * DAY

    def reboot(self) -> None:
        """Simulate a reboot."""
        self.boot += "'"
        self.seconds = 5.0


def at_dawn(path: Path, clock: HandClock) -> Spool:
    """Create a spool whose first day begins now."""
    spool = Spool(path, clock)
    day = spool.days.today()
    spool.db.execute("UPDATE memory SET seconds = ?", (day * DAY,))
    return spool


def recent(spool: Spool) -> list[bytes]:
    """Return the ids in `seen`, in order."""
    return [id for (id,) in spool.db.execute("SELECT id FROM seen ORDER BY id")]


def segments(spool: Spool) -> list[Segment]:
    """Return the registered segments."""
    duplicates = Duplicates(spool)
    duplicates.refresh()
    return duplicates.segments


def remembered(spool: Spool) -> list[bytes]:
    """Return all remembered ids in order, and check that the spool finds each of them."""
    folder = spool.duplicates.folder
    found = {id for segment in segments(spool) for id in open_ids(folder, segment)} | set(recent(spool))
    assert not found or spool.known(sorted(found)) == found
    return sorted(found)


@contextmanager
def small(recent: int = 8, portion: int = 16, slice: int = 4) -> Iterator[None]:
    """Make compaction work on a few ids at a time, without pauses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "RECENT", recent)
        patch.setattr(compaction, "PORTION", portion)
        patch.setattr(compaction, "SLICE", slice)
        patch.setattr(compaction, "REST", 0.0)
        yield


def whole(spool: Spool) -> bool:
    """Return whether SQLite's integrity check passes."""
    with sqlite3.connect(spool.path) as db:
        found = db.execute("PRAGMA integrity_check").fetchall()
    db.close()
    return found == [("ok",)]
