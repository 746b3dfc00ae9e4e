"""A disk that is full in the middle of a commit of the spool, whichever page of it finds no space."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.compaction import Compactor
from collector.spool import Spool, Unavailable
from tests.collector.remembered import HandClock, recent, remembered, small, whole
from tests.collector.rows import rows
from tests.collector.small_disk import SmallDisk, small_disk

NOON = 1_795_348_800.0
PAGE = 4096
CLOCK = HandClock()


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[SmallDisk]:
    """8 MiB, filled in no time."""
    with small_disk(tmp_path / "tiny", 8) as mounted:
        yield mounted


@pytest.fixture
def unwatched(tiny: SmallDisk) -> Iterator[Spool]:
    """A spool of 300 beacons on the tiny disk, the first 100 of them sealed."""
    spool = Spool(tiny.path / "spool.sqlite", CLOCK)
    spool.store(rows(*range(300)), NOON)
    spool.seal(100)
    spool.checkpoint()
    yield spool
    spool.close()


def contents(path: Path) -> dict[str, list[Any]]:
    """All that a spool file holds, read by somebody else, after SQLite has found it whole."""
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {
            table: db.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("beacons", "seen", "segments", "batches", "quarantine")
        }
    finally:
        db.close()


def forget(spool: Spool) -> None:
    """Forget all ids; they are in the table of recent ones."""
    CLOCK.days(99)
    Compactor(spool).forget()


def oldest(spool: Spool) -> Any:
    """The batch that was sealed before the disk was full."""
    return spool.seal(1)


OPERATIONS: dict[str, Callable[[Spool], object]] = {
    "store": lambda spool: spool.store(rows(*range(1000, 1400)), NOON),
    "store, duplicates among them": lambda spool: spool.store(rows(*range(200, 600)), NOON),
    "loaded": lambda spool: spool.loaded(oldest(spool), "usage"),
    "delete": lambda spool: spool.delete(oldest(spool)),
    "split": lambda spool: spool.split(oldest(spool)),
    "quarantine": lambda spool: spool.quarantine(oldest(spool), "usage", "unreadable"),
    "forget": forget,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_space_in_the_middle_of_a_commit_is_as_if_it_had_not_begun(
    tiny: SmallDisk, unwatched: Spool, operation: str
) -> None:
    """Whichever page of a commit finds no space, nothing of it is done; with enough of them all is."""
    path = tiny.path / "spool.sqlite"
    before, failed = contents(path), 0
    for pages in range(1000):
        unwatched.checkpoint()
        tiny.fill(leave=pages * PAGE)
        try:
            OPERATIONS[operation](unwatched)
        except Unavailable:
            failed += 1
            tiny.free()
            assert contents(path) == before
        else:
            break
    tiny.free()
    assert failed > 0
    assert contents(path) != before
    assert all(unwatched.store(rows(*range(5000, 5400)), NOON))


def test_no_space_for_the_files_of_the_duplicate_memory(tiny: SmallDisk, unwatched: Spool) -> None:
    """Whichever page of a file or of a commit finds no space, no id is unknown then, and none comes in twice."""
    before, failed = remembered(unwatched), 0
    with small(recent=100, portion=1000, slice=100), pytest.MonkeyPatch.context() as patch:
        patch.setattr(unwatched, "check_space", lambda needed=0: None)
        for pages in range(1000):
            unwatched.checkpoint()
            tiny.fill(leave=pages * PAGE)
            compactor = Compactor(unwatched)
            try:
                while compactor.step():
                    pass
            except (Unavailable, OSError):
                failed += 1
                tiny.free()
                assert unwatched.known(before) == set(before)
            else:
                break
    tiny.free()
    assert failed > 0
    assert remembered(unwatched) == before
    assert recent(unwatched) == []
    assert whole(unwatched)
    assert len(list(unwatched.duplicates.folder.iterdir())) == 2


def test_no_space_to_seal(tiny: SmallDisk, unwatched: Spool) -> None:
    """A batch that could not be noted was not sealed: the next one may hold other beacons."""
    batch = oldest(unwatched)
    unwatched.delete(batch)
    unwatched.checkpoint()
    tiny.fill()
    with pytest.raises(Unavailable):
        unwatched.seal(100)
    tiny.free()
    assert contents(tiny.path / "spool.sqlite")["batches"] == []
    sealed = unwatched.seal(50)
    assert sealed is not None
    assert (sealed.first, sealed.last) == (batch.last + 1, batch.last + 50)


def test_no_space_to_move_the_log_into_the_file(tiny: SmallDisk, unwatched: Spool) -> None:
    """When the file cannot grow the log keeps what it has, and is moved once there is space."""
    path = tiny.path / "spool.sqlite"
    unwatched.store(rows(*range(1000, 3000)), NOON)
    before = contents(path)
    tiny.fill()
    with pytest.raises(Unavailable):
        unwatched.checkpoint()
    assert contents(path) == before
    tiny.free()
    unwatched.checkpoint()
    assert (tiny.path / "spool.sqlite-wal").stat().st_size == 0
    assert contents(path) == before
