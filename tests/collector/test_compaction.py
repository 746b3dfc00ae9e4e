"""Compaction of duplicate ids: whatever is killed and when, each id is remembered exactly as long as promised."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector import compaction
from collector.compaction import Compactor, to_fold
from collector.spool import HORIZON_DAYS, Spool, Unavailable
from collector.spool.duplicates import unlinking
from tests.collector.remembered import HandClock, at_dawn, recent, remembered, segments, small, whole
from tests.collector.rows import rows

NOON = 1_795_348_800.0
THREADS = 3


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def spool(tmp_path: Path, clock: HandClock) -> Iterator[Spool]:
    opened = at_dawn(tmp_path / "spool.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small():
        yield


def ids(*numbers: int) -> list[bytes]:
    return sorted(row.seen for row in rows(*numbers))


def store(spool: Spool, *numbers: int) -> None:
    assert all(spool.store(rows(*numbers), NOON))


def settle(spool: Spool) -> None:
    """Compact until there is nothing left to do."""
    compactor = Compactor(spool)
    while compactor.step():
        pass


def on_disk(spool: Spool) -> set[str]:
    folder = spool.duplicates.folder
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_few_ids_stay_in_the_table(spool: Spool) -> None:
    """With few ids there are no segment files."""
    store(spool, *range(7))
    settle(spool)
    assert recent(spool) == ids(*range(7))
    assert on_disk(spool) == set()


def test_many_ids_are_filed_by_the_day_of_their_receipt(spool: Spool, clock: HandClock) -> None:
    """Filed ids leave the table and are still duplicates."""
    first = spool.days.today()
    store(spool, *range(4))
    clock.days(1)
    store(spool, *range(10, 16))
    settle(spool)
    assert [(each.day, each.ids, each.cleared) for each in segments(spool)] == [(first + 1, 6, True), (first, 4, True)]
    assert recent(spool) == []
    assert remembered(spool) == ids(*range(4), *range(10, 16))
    assert spool.store(rows(3, 4, 10), NOON) == [False, True, False]
    assert spool.store_groups([], NOON) == []


def test_a_worker_knows_at_once_what_was_filed(spool: Spool, tmp_path: Path, clock: HandClock) -> None:
    """A worker that read the segments earlier finds ids that were filed since."""
    with closing(Spool(tmp_path / "spool.sqlite", clock)) as worker:
        store(worker, *range(20))
        for _ in range(30):
            settle(spool)
            assert worker.store(rows(*range(20)), NOON) == [False] * 20
            number = 20 + len(remembered(spool))
            assert worker.store(rows(number, 3), NOON) == [True, False]
            assert worker.store(rows(number), NOON) == [False]


def test_what_is_filed_between_look_up_and_insert_is_no_second_beacon(
    spool: Spool, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that is filed between a worker's lookup and its insert is not inserted again."""
    store(spool, *range(9))
    with closing(Spool(tmp_path / "spool.sqlite", clock)) as worker:
        store(worker, 100)
        look = worker.duplicates.filed

        def then_file(wanted: list[bytes]) -> set[bytes]:
            found = look(wanted)
            settle(spool)
            return found

        monkeypatch.setattr(worker.duplicates, "filed", then_file)
        assert worker.store(rows(5), NOON) == [False]
    assert spool.stats().beacons == 10


def test_filters_of_one_size_become_one(spool: Spool, clock: HandClock) -> None:
    """Filters of similar size are folded. A lookup reads few filters, and no unused file is left."""
    numbers = iter(range(10_000))
    for _ in range(60):
        store(spool, *(next(numbers) for _ in range(10)))
        settle(spool)
    found = segments(spool)
    filters = {each.filter for each in found}
    assert len(filters) <= 7
    assert sum(each.ids for each in found) == 600
    assert on_disk(spool) == {f"{each.name}.ids" for each in found} | {f"{name}.filter" for name in filters}
    assert remembered(spool) == ids(*range(600))


def test_filters_are_folded_from_the_smallest_size() -> None:
    """The smallest size class with several filters is folded first. Classes are powers of eight of `RECENT`."""
    unit = compaction.RECENT
    assert to_fold({}) == set()
    assert to_fold({"a": 1, "b": unit, "c": 8 * unit, "d": 64 * unit}) == set()
    assert to_fold({"a": unit, "b": 8 * unit, "c": 8 * unit - 1, "d": 8 * unit}) == {"a", "c"}
    assert to_fold(dict.fromkeys("abcd", 9 * unit) | {"e": unit}) == set("abcd")


def test_an_id_is_forgotten_after_the_horizon(spool: Spool, clock: HandClock) -> None:
    """An id is forgotten between 30 and 31 days after its receipt, filed or not."""
    first = spool.days.today()
    store(spool, *range(10))
    settle(spool)
    store(spool, *range(20, 23))
    clock.days(1)
    store(spool, *range(30, 35))
    clock.days(HORIZON_DAYS - 1 / 1024)
    Compactor(spool).forget()
    assert spool.days.today() == first + HORIZON_DAYS
    assert remembered(spool) == ids(*range(10), *range(20, 23), *range(30, 35))
    assert spool.store(rows(0, 20, 30), NOON) == [False] * 3
    clock.days(1 / 1024)
    Compactor(spool).forget()
    assert remembered(spool) == ids(*range(30, 35))
    assert on_disk(spool) == set()
    assert spool.store(rows(0, 20, 30), NOON) == [True, True, False]


def test_a_folded_filter_goes_with_its_last_day(spool: Spool, clock: HandClock) -> None:
    """The days under one filter are forgotten one by one, and the filter with the last of them."""
    for day in range(4):
        store(spool, *range(day * 10, day * 10 + 10))
        settle(spool)
        clock.days(1)
    assert [each.ids for each in segments(spool)] == [10, 10, 10, 10]
    assert len({each.filter for each in segments(spool)}) == 1
    clock.days(HORIZON_DAYS - 3)
    for day in range(4):
        Compactor(spool).forget()
        assert remembered(spool) == ids(*range(day * 10 + 10, 40))
        assert len([name for name in on_disk(spool) if name.endswith(".ids")]) == 3 - day
        clock.days(1)


def test_forgetting_takes_the_lock_for_few_ids_at_a_time(spool: Spool, clock: HandClock, tmp_path: Path) -> None:
    """No transaction of filing or forgetting changes more than `SLICE` ids. Between two of them the lock is free."""
    gone: list[int] = []
    real = spool.transaction

    @contextmanager
    def counted() -> Iterator[None]:
        before = len(recent(spool))
        with real():
            yield
        gone.append(before - len(recent(spool)))
        with closing(sqlite3.connect(tmp_path / "spool.sqlite", timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

    spool.transaction = counted  # type: ignore[method-assign]
    for first in range(0, 200, 50):
        store(spool, *range(first, first + 50))
        gone.clear()
        settle(spool)
        assert max(gone) == compaction.SLICE
    with real():
        spool.db.executemany("INSERT INTO seen VALUES (?, ?)", [(each, 3) for each in ids(*range(1000, 1100))])
    clock.days(HORIZON_DAYS + 1)
    store(spool, 5000)
    gone.clear()
    Compactor(spool).forget()
    assert remembered(spool) == ids(5000)
    assert len(gone) > 100 / compaction.SLICE
    assert max(gone) == compaction.SLICE


def test_compaction_does_not_hold_the_lock_while_it_syncs(
    spool: Spool, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction releases the lock first, and is on disk before the next one begins."""
    events: list[str] = []
    real, fsync = spool.transaction, os.fsync

    @contextmanager
    def watched() -> Iterator[None]:
        with real():
            assert spool.db.execute("PRAGMA synchronous").fetchone() == (1,)  # the commit does not sync
            events.append("commit")
            yield

    def unlocked(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}") == f"{spool.path}-wal":
            with closing(sqlite3.connect(spool.path, timeout=0, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
            events.append("sync")
        fsync(descriptor)

    store(spool, *range(50))
    settle(spool)
    clock.days(HORIZON_DAYS + 1)
    store(spool, *range(100, 150))
    monkeypatch.setattr(spool, "transaction", watched)
    monkeypatch.setattr(os, "fsync", unlocked)
    settle(spool)
    assert remembered(spool) == ids(*range(100, 150))
    assert len(events) > 2 * 50 / compaction.SLICE
    assert events == ["commit", "sync"] * (len(events) // 2)
    assert spool.db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_looking_for_what_is_old_takes_no_lock(spool: Spool, tmp_path: Path) -> None:
    """Forgetting works while another process holds the lock, if there is nothing to forget."""
    store(spool, *range(7))
    compactor = Compactor(spool)
    spool.days.advance()
    with closing(sqlite3.connect(tmp_path / "spool.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        compactor.forget()


@pytest.mark.parametrize("wrong", [-400, -7, 7, 400])
def test_a_spool_of_before_is_taken_over(tmp_path: Path, wrong: int) -> None:
    """Ids of an older spool are filed in portions. None stays forever, although its clock was wrong at times."""
    clock, path = HandClock(), tmp_path / "spool.sqlite"
    today = old_spool(path, wrong)
    with closing(Spool(path, clock)) as spool:
        assert spool.store(rows(*range(100)), NOON) == [False] * 100
        settle(spool)
        kept = range(100) if wrong >= -HORIZON_DAYS else range(50)
        assert remembered(spool) == ids(*kept)
        assert len(recent(spool)) < compaction.RECENT
        assert max(each.day for each in segments(spool)) <= spool.days.today() in (today, today + 1)
        clock.days(HORIZON_DAYS + 1)
        Compactor(spool).forget()
        assert remembered(spool) == []


def old_spool(path: Path, wrong: int) -> int:
    """Create a spool of an older version with 100 ids, and return the current day.

    The second half was received under a clock that was wrong by `wrong` days.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(
            """
            CREATE TABLE beacons (
                seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, received INTEGER NOT NULL, usage BLOB NOT NULL,
                license BLOB NOT NULL, sealed BLOB NOT NULL DEFAULT x'');
            CREATE TABLE seen (id BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
            CREATE TRIGGER remember AFTER INSERT ON beacons
                BEGIN INSERT INTO seen VALUES (NEW.id, NEW.received / 86400); END;
            """
        )
        ((now,),) = db.execute("SELECT CAST(strftime('%s', 'now') AS INTEGER)")
        for number, row in enumerate(rows(*range(100))):
            received = now - 3600 + (wrong * 86400 if number >= 50 else 0)
            db.execute(
                "INSERT INTO beacons (id, received, usage, license) VALUES (?, ?, ?, ?)",
                (row.seen, received, row.usage, row.license),
            )
    return int(now // 86400)


def test_a_small_spool_with_days_to_come_forgets_them_too(tmp_path: Path) -> None:
    """Ids with a day in the future stay for 30 days from now."""
    clock, path = HandClock(), tmp_path / "spool.sqlite"
    old_spool(path, 4000)
    with small(recent=1000), closing(Spool(path, clock)) as spool:
        Compactor(spool).forget()
        clock.days(HORIZON_DAYS - 1)
        Compactor(spool).forget()
        assert remembered(spool) == ids(*range(50, 100)) or remembered(spool) == ids(*range(100))
        clock.days(2)
        Compactor(spool).forget()
        assert remembered(spool) == []


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Run `work` in a process that exits at its `moment`th step that reaches the disk. Returns whether it got there."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in (0, 9)
        return os.waitstatus_to_exitcode(status) == 9
    count = iter(range(1 << 30))

    def step(real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if next(count) == moment:
                os._exit(9)
            result = real(*arguments, **named)
            if next(count) == moment:
                os._exit(9)
            return result

        return counted

    real = Spool.transaction

    @contextmanager
    def transaction(spool: Spool) -> Iterator[None]:
        with real(spool):
            yield
            step(lambda: None)()
        step(lambda: None)()

    try:
        Spool.transaction = transaction  # type: ignore[method-assign,assignment]
        os.fsync = step(os.fsync)
        Path.unlink, Path.mkdir = step(Path.unlink), step(Path.mkdir)  # type: ignore[method-assign]
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def compacted(path: Path, clock: HandClock) -> None:
    settle(Spool(path, clock))


def filled(path: Path, clock: HandClock) -> list[bytes]:
    """Create a spool with ids to file, fold and forget; return the ids that must be remembered."""
    with closing(at_dawn(path, clock)) as spool:
        for day in range(4):
            store(spool, *range(day * 10, day * 10 + 10))
            if day < 3:
                settle(spool)
            clock.days(1)
        clock.days(HORIZON_DAYS - 3)
        store(spool, *range(100, 110))
    return ids(*range(10, 40), *range(100, 110))


def test_a_kill_between_any_two_steps_forgets_nothing(tmp_path: Path) -> None:
    """After a kill at any step another process finds exactly the expected ids, and compaction continues."""
    for moment in range(10_000):
        home = tmp_path / str(moment)
        home.mkdir()
        path, clock = home / "spool.sqlite", HandClock()
        expected = filled(path, clock)
        died = killed_at(moment, lambda path=path, clock=clock: compacted(path, clock))  # type: ignore[misc]
        with closing(Spool(path, clock)) as spool:
            assert set(remembered(spool)) >= set(expected), moment
            assert spool.store(rows(10, 39, 100, 1000), NOON) == [False, False, False, True], moment
            settle(spool)
            assert remembered(spool) == sorted([*expected, *ids(1000)]), moment
            needed = {f"{each.name}.ids" for each in segments(spool)} | {
                f"{each.filter}.filter" for each in segments(spool)
            }
            assert on_disk(spool) == needed, moment
            assert whole(spool)
        if not died:
            assert moment > 40
            return


def test_a_takeover_that_is_killed_again_and_again_comes_to_its_end(tmp_path: Path) -> None:
    """The takeover of an older spool makes progress although it is killed repeatedly."""
    clock, path = HandClock(), tmp_path / "spool.sqlite"
    old_spool(path, 0)
    for lives in range(100):
        if not killed_at(60, lambda: compacted(path, clock)):
            assert lives > 1
            break
        with closing(Spool(path, clock)) as spool:
            assert remembered(spool) == ids(*range(100))
    with closing(Spool(path, clock)) as spool:
        assert remembered(spool) == ids(*range(100))
        assert len(recent(spool)) < compaction.RECENT


def test_each_beacon_is_new_once_while_all_of_it_moves(tmp_path: Path) -> None:
    """Several processes store the same beacons during compaction: each beacon is new exactly once."""
    path, numbers = tmp_path / "spool.sqlite", range(600)
    at_dawn(path, HandClock()).close()
    pipes = []
    for first in range(THREADS):
        here, there = os.pipe()
        if not os.fork():
            try:
                fresh = 0
                with closing(Spool(path, HandClock())) as spool:
                    for number in (*numbers[first * 200 :], *numbers[: first * 200]):
                        fresh += sum(spool.store(rows(number, (number * 7) % 600), NOON))
                os.write(there, str(fresh).encode())
            finally:
                os._exit(0)
        os.close(there)
        pipes.append(here)
    stop = threading.Event()
    thread = compaction.start(path, stop)
    told = [int(os.read(pipe, 100) or -1) for pipe in pipes]
    stop.set()
    thread.join()
    for pipe in pipes:
        os.wait()
        os.close(pipe)
    assert sum(told) == len(numbers)
    with closing(Spool(path, HandClock())) as spool:
        assert spool.stats().beacons == len(numbers)
        assert remembered(spool) == ids(*numbers)


def test_files_stay_while_a_backup_is_made(spool: Spool) -> None:
    """Replaced files are removed only after the backup."""
    for first in range(0, 40, 10):
        store(spool, *range(first, first + 10))
        if first < 30:
            settle(spool)
    before = on_disk(spool)
    with unlinking(spool.path, wait=True):
        settle(spool)
        assert before < on_disk(spool)
    assert remembered(spool) == ids(*range(40))
    Compactor(spool).forget()
    assert len(on_disk(spool)) == 2


def test_a_segment_that_is_gone_stops_the_collector(spool: Spool) -> None:
    """Without a segment no beacon is accepted, and the message names the missing file."""
    store(spool, *range(10))
    settle(spool)
    for path in spool.duplicates.folder.glob("*.ids"):
        path.unlink()
    with closing(Spool(spool.path)) as other, pytest.raises(Unavailable, match=r"memory of duplicates.*\.ids"):
        other.store(rows(100), NOON)


def test_nothing_is_filed_on_a_disk_that_is_nearly_full(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the disk's watermark nothing is filed."""
    store(spool, *range(10))
    monkeypatch.setattr("collector.spool.database.WATERMARK_BYTES", 1 << 62)
    monkeypatch.setattr("collector.spool.database.WATERMARK_SHARE", 1.0)
    with pytest.raises(Unavailable, match="nearly full"):
        settle(spool)
    assert recent(spool) == ids(*range(10))


def test_it_stops_within_a_piece_of_its_work(spool: Spool) -> None:
    """Compaction stops quickly on SIGTERM and leaves no incomplete file."""
    store(spool, *range(10))
    stop = threading.Event()
    stop.set()
    with pytest.raises(compaction.Stopped):
        Compactor(spool, stop).file()
    assert on_disk(spool) == set()
    assert remembered(spool) == ids(*range(10))
