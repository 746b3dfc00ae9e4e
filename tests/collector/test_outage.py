"""Hours without ClickHouse, by a clock of the test's own: nothing is lost, and since when and why is known."""

import threading
import time
from typing import cast

import pytest

import collector.loader
from collector.judging import Judging
from collector.loader import BACKOFF_SECONDS, Loader
from collector.spool import Spool, Unavailable
from tests.collector.rows import rows
from tests.collector.test_loader import FakeEngine, once
from warehouse import migrate
from warehouse.engine import Engine, EngineError
from warehouse.licensing.judge import Judge
from warehouse.migrate import MigrationError

NOON = 1_795_348_800.0
HOURS = 2


class Clock(threading.Event):
    """Time that passes only while the loader waits, without its thread that compacts; it is set at `end`."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.now, self._end = NOON, end
        self.waits: list[float] = []

    def time(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        self.now += timeout
        return self.now >= self._end

    def is_set(self) -> bool:
        return self.now >= self._end


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(NOON + HOURS * 3600)
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(collector.loader, "migrate", lambda engine: [])
    return made


def away(why: str = "the ClickHouse server does not answer") -> None:
    raise EngineError(why)


def test_hours_without_clickhouse_lose_nothing(spool: Spool, clock: Clock) -> None:
    """Two hours of refusals: all stays in the spool, since when and why is told, and no wait is longer than 36 s."""
    engine = FakeEngine()
    engine.before = lambda table: away()
    spool.store(rows(*range(100)), NOON)
    Loader(spool, cast(Engine, engine), clock.time, clock.time)._load(clock)
    assert spool.stats().beacons == 100
    state = spool.loading()
    assert (state.since, state.why) == (NOON, "the ClickHouse server does not answer")
    assert 200 < len(clock.waits) < 400
    assert max(clock.waits) <= BACKOFF_SECONDS[1] * 1.2


def test_what_waited_is_loaded_when_it_is_back(spool: Spool, clock: Clock) -> None:
    """The first try after the outage succeeds, the trouble is over, and every beacon is there once."""
    engine = FakeEngine()
    back = NOON + (HOURS - 1) * 3600
    engine.before = lambda table: away() if clock.now < back else None
    spool.store(rows(*range(500)), NOON)
    Loader(spool, cast(Engine, engine), clock.time, clock.time)._load(clock)
    assert engine.held("usage") == engine.held("license") == once(*range(500))
    state = spool.loading()
    assert (state.loaded, state.since, state.why) == (500, None, "")
    assert state.fresh_to is not None
    assert state.fresh_to > clock.now - 10


def test_since_when_outlives_the_loader(spool: Spool, clock: Clock) -> None:
    """A loader that is started again in the middle of an outage does not take that for its beginning."""
    engine = FakeEngine()
    engine.before = lambda table: away()
    spool.store(rows(1), NOON)
    Loader(spool, cast(Engine, engine), clock.time, clock.time)._load(clock)
    clock._end += 3600
    engine.before = lambda table: away("another reason")
    Loader(spool, cast(Engine, engine), clock.time, clock.time)._load(clock)
    state = spool.loading()
    assert (state.since, state.why) == (NOON, "another reason")


class FakeJudge:
    """Judges nothing, and fails until `back`."""

    def __init__(self, clock: Clock, back: float) -> None:
        self._clock, self._back = clock, back

    def take_changed(self) -> set[str]:
        if self._clock.now < self._back:
            away()
        return set()


def test_since_when_judging_fails_is_known_until_it_works(
    spool: Spool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beacons are loaded meanwhile. A loader that is started again does not take that for the beginning."""
    monkeypatch.setattr(Judging, "_pass", lambda self, leave: False)
    engine = cast(Engine, FakeEngine())
    assert spool.judging_since() is None
    spool.store(rows(1), NOON)
    judge = cast(Judge, FakeJudge(clock, NOON + (HOURS + 1) * 3600))
    for _ in range(2):
        Loader(spool, engine, clock.time, clock.time, judge)._load(clock)
        clock._end += 1800
        assert (spool.judging_since(), spool.stats().beacons, spool.loading().since) == (NOON, 0, None)
    clock._end += 3600
    Loader(spool, engine, clock.time, clock.time, judge)._load(clock)
    assert spool.judging_since() is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MigrationError("the database is newer than this Pharos"), "the database is newer than this Pharos"),
        (ValueError("jane@example.com"), "the loader failed: ValueError"),
    ],
)
def test_any_trouble_is_told_and_waited_for(
    spool: Spool, clock: Clock, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    """Whatever keeps the loader from loading is a reason in words; what an unknown error holds is not among them."""

    def failing(engine: object) -> list[str]:
        raise error

    monkeypatch.setattr(collector.loader, "migrate", failing)
    clock._end = NOON + 600
    spool.store(rows(1), NOON)
    Loader(spool, cast(Engine, FakeEngine()), clock.time, clock.time)._load(clock)
    assert spool.loading().why == told
    assert spool.stats().beacons == 1


def test_a_wrong_schema_puts_nothing_into_quarantine(spool: Spool, clock: Clock) -> None:
    """When the table cannot read even a good row, the rows are not to blame: they wait until the table is mended."""
    engine = FakeEngine()
    engine.poison = lambda table, row: table == "usage_beacons" and engine.wrong_schema
    engine.wrong_schema = True
    spool.store(rows(*range(50)), NOON)
    Loader(spool, cast(Engine, engine), clock.time, clock.time)._load(clock)
    assert "usage_beacons" in spool.loading().why
    assert (spool.stats().beacons, spool.stats().quarantined) == (50, 0)
    engine.wrong_schema = False
    clock._end += 600
    Loader(spool, cast(Engine, engine), clock.time, clock.time)._load(clock)
    assert engine.held("usage") == engine.held("license") == once(*range(50))
    assert spool.quarantined() == []


def test_a_full_disk_under_the_loader_is_told_by_the_next_word(
    spool: Spool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spool that cannot note the trouble does not end the loader."""
    engine = FakeEngine()
    engine.before = lambda table: away()
    spool.store(rows(1), NOON)

    def full(_: Spool, now: float, why: str) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(Spool, "note_trouble", full)
    Loader(spool, cast(Engine, engine), clock.time, clock.time)._load(clock)
    assert clock.is_set()


def test_the_loader_of_the_tests_is_the_loader() -> None:
    """The migrations are left out above, and are what the loader runs first."""
    assert Loader._load.__globals__["migrate"] is migrate.migrate
