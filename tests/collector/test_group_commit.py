"""The writer: one commit for all waiting requests, and a separate result for each."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collector.group_commit import BUSY_REQUESTS, GATHERING_SECONDS, OverLimit, Writer
from collector.spool import Group, Spool, Stored, Unavailable
from collector.spool.database import EARLIEST
from tests.collector.rows import rows

Results = list[Stored]


class Gate:
    """Wraps a spool's `store_groups`: blocks commits until opened, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.reached = threading.Event(), threading.Event()
        self.commits: list[int] = []
        self.error: BaseException | None = None
        store = Spool.store_groups

        def gated(spool: Spool, groups: list[Group], now: float) -> Results:
            self.reached.set()
            assert self.open.wait(20)
            self.commits.append(len(groups))
            if self.error is not None:
                raise self.error
            return store(spool, groups, now)

        monkeypatch.setattr(Spool, "store_groups", gated)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path / "spool.sqlite")
    yield made
    made.close()


def put_behind(gate: Gate, writer: Writer, pool: ThreadPoolExecutor, *calls: Any) -> list[Future[list[bool]]]:
    """Queue all `calls` while a first commit is blocked, then release it."""
    first = pool.submit(writer.put, rows(0))
    assert gate.reached.wait(20)
    futures = [pool.submit(writer.put, *call) for call in calls]
    while writer._queue.qsize() < len(calls):
        threading.Event().wait(0.001)
    gate.open.set()
    assert (first.exception() is None) is (gate.error is None)
    return futures


def test_requests_in_flight_share_a_commit(gate: Gate, writer: Writer, tmp_path: Path) -> None:
    """32 simultaneous requests are stored in one commit, each with its own result."""
    with ThreadPoolExecutor(33) as pool:
        futures = put_behind(gate, writer, pool, *((rows(n, 0, n + 100),) for n in range(1, 33)))
        assert [future.result() for future in futures] == [[True, False, True]] * 32
    assert gate.commits == [1, 32]
    spool = Spool(tmp_path / "spool.sqlite")
    assert spool.stats().beacons == 65
    spool.close()


def test_under_load_a_commit_waits_for_more_requests(
    gate: Gate, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a commit of several requests, those that arrive a moment after the next one share its commit."""
    late: list[Future[list[bool]]] = []
    with ThreadPoolExecutor(BUSY_REQUESTS + 3) as pool:

        def arrive(seconds: float) -> None:
            assert seconds == GATHERING_SECONDS
            late.append(pool.submit(writer.put, rows(200)))
            while writer._queue.empty():
                threading.Event().wait(0.001)

        clocks = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=arrive)
        monkeypatch.setattr("collector.group_commit.time", clocks)  # of the writer alone
        for future in put_behind(gate, writer, pool, *((rows(n),) for n in range(1, BUSY_REQUESTS + 1))):
            assert future.result() == [True]
        assert not late
        assert writer.put(rows(100)) == [True]
        assert [future.result() for future in late] == [[True]]
        assert gate.commits == [1, BUSY_REQUESTS, 2]


def test_one_request_over_its_limit_spoils_no_other(gate: Gate, writer: Writer) -> None:
    """In a shared commit a request over its limit is refused and the others are stored."""
    with ThreadPoolExecutor(3) as pool:
        over, fine = put_behind(gate, writer, pool, (rows(1, 2), (("key", 1),)), (rows(3), (("key", 1),)))
        error = over.exception()
        assert isinstance(error, OverLimit)
        assert 1 <= error.seconds <= 60
        assert fine.result() == [True]


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), ValueError("surprise"), SystemExit()])
def test_an_error_is_the_answer_of_all_and_the_writer_lives_on(
    gate: Gate, writer: Writer, error: BaseException
) -> None:
    """When a commit fails, all its requests are refused, and the next request is stored."""
    gate.error = error
    with ThreadPoolExecutor(9) as pool:
        futures = put_behind(gate, writer, pool, *((rows(n),) for n in range(1, 9)))
        assert all(isinstance(future.exception(), Unavailable) for future in futures)
    gate.error = None
    assert writer.put(rows(1)) == [True]


def test_closing_writes_what_is_queued(gate: Gate, tmp_path: Path) -> None:
    """Requests that wait when the collector stops are stored and answered."""
    writer = Writer(tmp_path / "spool.sqlite")
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(writer.put, rows(0))
        assert gate.reached.wait(20)
        queued = [pool.submit(writer.put, rows(n)) for n in range(1, 9)]
        while writer._queue.qsize() < 8:
            threading.Event().wait(0.001)
        closing = pool.submit(writer.close)
        while not writer._closed:
            threading.Event().wait(0.001)
        gate.open.set()
        assert [future.result() for future in (first, *queued)] == [[True]] * 9
        closing.result()
    spool = Spool(tmp_path / "spool.sqlite")
    assert spool.stats().beacons == 9
    spool.close()


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    """After `close`, beacons are refused and the collector is not ready."""
    writer = Writer(tmp_path / "spool.sqlite")
    writer.check()
    writer.close()
    with pytest.raises(Unavailable, match="stopping"):
        writer.put(rows(1))
    with pytest.raises(Unavailable, match="stopping"):
        writer.check()


def test_a_nearly_full_disk_refuses_beacons(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the watermark the writer stores nothing and reports why."""

    def full(_: Spool) -> None:
        raise Unavailable("the disk is nearly full")

    monkeypatch.setattr(Spool, "check_space", full)
    with pytest.raises(Unavailable, match="nearly full"):
        writer.put(rows(1))
    with pytest.raises(Unavailable, match="nearly full"):
        writer.check()


def test_a_clock_that_nobody_has_set_refuses_beacons(tmp_path: Path) -> None:
    """A machine may start in 1970. What it accepted then would expire at once, so the client sends it again."""
    clock = [0.0]
    writer = Writer(tmp_path / "spool.sqlite", lambda: clock[0])
    for clock[0], day in ((0.0, "1970-01-01"), (EARLIEST - 1, "2025-12-31")):
        with pytest.raises(Unavailable, match=f"the clock shows {day}"):
            writer.put(rows(1))
        with pytest.raises(Unavailable, match=f"the clock shows {day}"):
            writer.check()
    clock[0] = EARLIEST
    writer.check()
    assert writer.put(rows(1)) == [True]
    writer.close()
