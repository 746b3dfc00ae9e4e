"""A clock that was set, or has just started, decides nothing about what is too old."""

from typing import cast

import pytest

from collector.judging import PASS_SECONDS, Judging
from collector.loader import RETENTION_SECONDS, Loader
from collector.settled_clock import SETTLED_SECONDS, STEP_SECONDS, SettledClock
from collector.spool import Spool
from tests.collector.rows import rows
from tests.collector.test_judging import FakeJudge
from tests.collector.test_loader import Clock, FakeEngine
from warehouse import retention
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.judge import Judge

YEAR = 365 * 86400.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settled_clock(clock: Clock) -> SettledClock:
    return SettledClock(lambda: clock.wall, lambda: clock.steady)


def test_a_clock_settles_hours_after_the_start(clock: Clock) -> None:
    """A machine may start with a wrong clock, until it reaches a time server."""
    age = settled_clock(clock)
    assert not age.settled()
    clock.pass_by(SETTLED_SECONDS - 1)
    assert not age.settled()
    clock.pass_by(1)
    assert age.settled()


@pytest.mark.parametrize("step", [YEAR, 86400.0, -86400.0, -YEAR])
def test_a_clock_that_is_set_settles_anew(clock: Clock, step: float, caplog: pytest.LogCaptureFixture) -> None:
    """Forward or back, and again when it is put right. The log says so once for each step."""
    age = settled_clock(clock)
    clock.pass_by(SETTLED_SECONDS)
    for by in (step, -step):
        clock.wall += by
        assert not age.settled()
        clock.pass_by(SETTLED_SECONDS - 1)
        assert not age.settled()
        clock.pass_by(1)
        assert age.settled()
    words = ["forward", "back"] if step > 0 else ["back", "forward"]
    assert [record.getMessage().split()[4] for record in caplog.records] == words


def test_a_clock_that_is_corrected_a_little_stays_settled(clock: Clock) -> None:
    """As time servers do, for months: each correction is small, and their sum is not."""
    age = settled_clock(clock)
    clock.pass_by(SETTLED_SECONDS)
    for _ in range(10):
        clock.wall += STEP_SECONDS / 2
        assert age.settled()


def test_expired_data_is_removed_each_day_under_a_clock_that_has_settled(
    spool: Spool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the start and not after a step. Beacons that arrive all the time do not keep it off."""
    applied: list[float] = []

    def apply(engine: Engine) -> list[str]:
        applied.append(clock.steady)
        return []

    monkeypatch.setattr(retention, "apply", apply)
    loader = Loader(spool, cast(Engine, FakeEngine()), lambda: clock.wall, lambda: clock.steady)
    number = 0

    def run(seconds: float) -> None:
        nonlocal number
        end = clock.steady + seconds
        while clock.steady < end:
            spool.store(rows(number := number + 1), clock.wall)
            loader.step()
            clock.pass_by(600.0)

    run(2 * RETENTION_SECONDS)
    assert applied == [SETTLED_SECONDS, SETTLED_SECONDS + RETENTION_SECONDS]
    run(SETTLED_SECONDS - 600)
    clock.wall += YEAR
    run(600 + SETTLED_SECONDS - 600)
    clock.wall -= YEAR
    corrected = clock.steady
    run(SETTLED_SECONDS + 600)
    assert applied[2:] == [corrected + SETTLED_SECONDS]


def test_license_reports_are_forgotten_under_a_clock_that_has_settled(
    spool: Spool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then a pass only judges, and another one writes the states anew, without what is too old."""
    settled, deleted = False, 0

    def delete(*given: object) -> None:
        nonlocal deleted
        deleted += 1

    monkeypatch.setattr(state_rows, "read_by_pass", lambda reader: clock.wall)
    monkeypatch.setattr(state_rows, "after", lambda reader, place, most: [])
    monkeypatch.setattr(state_rows, "delete", delete)
    judging = Judging(
        spool,
        cast(Engine, FakeEngine()),
        cast(Judge, FakeJudge()),
        lambda: clock.wall,
        lambda: clock.steady,
        settled=lambda: settled,
    )
    judging.step(())
    assert (deleted, judging.passing) == (0, False)
    clock.pass_by(SETTLED_SECONDS)
    settled = True
    judging.step(())
    assert (deleted, judging.passing) == (1, False)
    clock.pass_by(PASS_SECONDS - 1)
    assert not judging.passing
    clock.pass_by(1)
    answers = iter((True, False))  # set during the pass
    monkeypatch.setattr(judging, "_settled", lambda: next(answers))
    judging.step(())
    assert (deleted, judging.passing) == (1, False)
