"""`next_in` under load: the fleet backs off as a whole, within the two days that clients follow, and comes back."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from collector.pace import DAY, LONGEST, REFRESH_SECONDS, WINDOW_SECONDS, Pace, deferred, pressure
from collector.planes import Planes
from collector.spool import Spool
from tests.bench.outages import HOUR, STEPS, Weather, simulate
from tests.collector.live import KEY, Collector
from tests.collector.rows import rows
from tests.collector.sample import beacon

PLANES = Planes(b"a root secret")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
INSTALLS = [str(uuid.UUID(int=number)) for number in range(600)]
FLEET = 6000
SECRET = "5e" * 32


@pytest.mark.parametrize(
    ("age", "unavailable", "expected"),
    [(0, 0, 0), (-3600, 0, 0), (1800, 0, 0), (22_500, 0, 0.5), (43_200, 0, 1), (10**7, 0, 1),
     (0, 0.01, 0), (0, 0.255, 0.5), (0, 0.5, 1), (0, 1, 1), (22_500, 0.1, 0.5), (1800, 0.255, 0.5)],
)  # fmt: skip
def test_pressure_grows_with_age_and_with_503(age: float, unavailable: float, expected: float) -> None:
    """From none at half an hour or 1% of 503 to full at half a day or 50%; the greater of both counts."""
    assert pressure(age, unavailable) == pytest.approx(expected)


def test_a_deferred_heartbeat_is_a_day_later_and_at_most_two_days_ahead() -> None:
    """Any `next_in` of the collector grows, and none beyond what clients follow."""
    assert [deferred(hours * 3600) // 3600 for hours in (12, 20, 24, 36)] == [36, 44, 48, 48]
    assert deferred(36 * 3600) == LONGEST


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_each_day_loses_the_same_share_of_the_fleet(strength: float) -> None:
    """At pressure p half of p skips each day, no install two days in a row, and each as often as any other."""
    days = 80
    skipped = [[PLANES.skips(one, NOON + timedelta(days=day), strength) for day in range(days)] for one in INSTALLS]
    for day in range(days):
        assert sum(each[day] for each in skipped) == pytest.approx(strength / 2 * len(INSTALLS), abs=30)
    for each in skipped:
        assert not any(one and other for one, other in pairwise(each))
        assert sum(each) == pytest.approx(strength / 2 * days, abs=3)


class Clock:
    """A pace whose time and spool the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.oldest: int | None = None
        self.pace = Pace(lambda: self.oldest, lambda: self.now, lambda: self.now)

    def many(self, stored: int, unavailable: int) -> float:
        """Answer so many requests, then one more after the pressure is due again; returns the pressure."""
        for _ in range(unavailable):
            self.pace.note_unavailable()
        for _ in range(stored):
            self.pace.after_stored()
        self.now += REFRESH_SECONDS
        return self.pace.after_stored()


def test_the_pressure_follows_the_oldest_beacon() -> None:
    """The age of the oldest beacon counts while there is one; a clock that was set back counts as new."""
    clock = Clock()
    assert clock.many(1, 0) == 0
    clock.oldest = int(clock.now) - 43_200
    assert clock.many(1, 0) == 1
    clock.oldest = int(clock.now) + 43_200
    assert clock.many(1, 0) == 0


def test_the_pressure_follows_503s_of_the_last_minutes() -> None:
    """Many 503 are pressure, a few are none, and all are forgotten after two windows."""
    clock = Clock()
    assert clock.many(0, 1) == 0
    assert clock.many(300, 200) == pressure(0, 201 / 503)
    clock.now += WINDOW_SECONDS
    assert clock.many(1, 0) > 0.5
    clock.now += WINDOW_SECONDS
    assert clock.many(1, 0) == 0
    clock.many(100, 100)
    clock.now += 2 * WINDOW_SECONDS
    assert clock.many(1, 0) == 0


def test_a_collector_behind_asks_half_of_its_installs_to_skip_a_day(tmp_path: Path) -> None:
    """A beacon that has waited for half a day defers the heartbeats of others, and the metrics count them."""
    with Collector(
        tmp_path / "home", PHAROS_INGEST_KEY=KEY, PHAROS_SECRET=SECRET, PHAROS_COLLECTOR_WORKERS="1"
    ) as collector:
        spool = Spool(collector.home / "spool.sqlite")
        spool.store(rows(1), time.time() - DAY / 2)
        spool.close()
        later = 0
        for install in INSTALLS[:60]:
            normal = Planes(SECRET.encode()).next_in(install, datetime.now(UTC))
            next_in = collector.post(beacon({"install_id": install})).json["next_in"]
            if next_in > normal + 60:
                assert next_in == pytest.approx(deferred(normal), abs=60)
                later += 1
            else:
                assert next_in == pytest.approx(normal, abs=60)
        assert 15 <= later <= 45
        metrics = collector.request("GET", "/metrics").body.decode()
        assert f"\npharos_heartbeats_deferred_total {later:.1f}\n" in metrics


def test_a_fleet_backs_off_and_comes_back_after_six_hours_without_clickhouse() -> None:
    """Fewer beacons come the next day, no hour is much busier than usual, and then all is as before."""
    began = 3 * STEPS
    course = simulate(Weather(engine_away=range(began, began + 6 * HOUR)), 8, FLEET)
    assert max(course.pressures) == pytest.approx(pressure(6 * 3600, 0), abs=0.02)
    before, _, *next_days, last = course.rates(range(2 * STEPS, 8 * STEPS), STEPS)
    assert min(next_days) < 0.99 * before
    assert last == pytest.approx(before, rel=0.01)
    assert max(course.rates(range(began, 8 * STEPS), HOUR)) < 1.5
    assert course.waiting[-1] < 0.01


def test_a_fleet_comes_back_after_six_hours_without_collector() -> None:
    """The clients' own delays spread the installs, all beacons arrive, and each install finds its time of day again."""
    began = 3 * STEPS
    course = simulate(Weather(collector_away=range(began, began + 6 * HOUR)), 8, FLEET)
    assert sum(course.accepted[2 * STEPS : 7 * STEPS]) == pytest.approx(5, rel=0.02)
    assert max(course.rates(range(began, began + STEPS), HOUR)) < 6
    assert max(course.rates(range(6 * STEPS, 8 * STEPS), HOUR)) < 1.5


def test_a_fleet_that_is_too_large_for_clickhouse_slows_down_to_what_it_loads() -> None:
    """With 80% of the needed capacity the spool stays under a day's beacons. Without backing off it grows for ever."""
    course = simulate(Weather(capacity=0.8), 20, FLEET)
    assert max(course.waiting) < 0.7
    assert simulate(Weather(capacity=0.8, defers=False), 20, FLEET).waiting[-1] > 3
    assert min(course.rates(range(STEPS, 20 * STEPS), STEPS)) > 0.49
