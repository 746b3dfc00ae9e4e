"""A simulated fleet through outages: the collector's own `next_in` and pressure, with clients that follow them.

    python -m tests.bench.outages

Time runs in steps of five minutes, the cron of a WHMCS. A client waits nine tenths of `next_in`, at most two days, and
after a failure from five minutes to four hours, as the clients in `client_sdk` do. Rates are shares of the even rate,
at which each install sends once a day.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from collector.pace import DAY, LONGEST, deferred, pressure
from collector.planes import Planes

STEP = 300
STEPS = DAY // STEP
HOUR = 3600 // STEP
BREAKER = (300, 14400)
BEGIN = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())
PLANES = Planes(b"a root secret")


@dataclass(frozen=True)
class Weather:
    """What goes wrong: steps without ClickHouse or collector, and how fast ClickHouse loads (1 is the even rate)."""

    engine_away: range = range(0)
    collector_away: range = range(0)
    capacity: float = 4.0
    defers: bool = True


@dataclass
class Course:
    """Each step: beacons accepted and beacons in the spool, both in days of the fleet, and the pressure."""

    installs: int
    accepted: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    pressures: list[float] = field(default_factory=list)

    def rates(self, steps: range, width: int = 1) -> Iterator[float]:
        """Yield the rate of each `width` steps, as a share of the even rate."""
        for start in range(steps.start, steps.stop - width + 1, width):
            yield sum(self.accepted[start : start + width]) * STEPS / width


def simulate(weather: Weather, days: int, installs: int = 20_000) -> Course:
    """Run a fleet whose installs already have their time of day."""
    chance = random.Random(7)
    names = [str(UUID(int=number)) for number in range(installs)]
    due = [BEGIN + chance.randrange(DAY) for _ in names]
    failures = [0] * installs
    calendar: list[list[int]] = [[] for _ in range((days + 3) * STEPS)]
    for install, moment in enumerate(due):
        calendar[_step(moment)].append(install)
    spool: deque[list[int]] = deque()  # [step of receipt, beacons]
    course, held, room = Course(installs), 0, 0.0
    for step in range(days * STEPS):
        now = BEGIN + step * STEP
        strength = pressure((step - spool[0][0]) * STEP if spool else 0.0, 0.0) if weather.defers else 0.0
        when, accepted = datetime.fromtimestamp(now, UTC), 0
        for install in calendar[step]:
            if step in weather.collector_away:
                backoff = min(BREAKER[1], BREAKER[0] << min(failures[install], 12))
                failures[install] += 1
                calendar[_step(now + chance.randint(backoff // 2, backoff))].append(install)
                continue
            failures[install] = 0
            accepted += 1
            next_in = PLANES.next_in(names[install], when)
            if strength and PLANES.skips(names[install], when + timedelta(seconds=next_in), strength):
                next_in = deferred(next_in)
            due[install] = max(due[install] + min(next_in, LONGEST) * 9 // 10, now + 1)
            calendar[_step(due[install])].append(install)
        calendar[step] = []
        if accepted:
            spool.append([step, accepted])
            held += accepted
        room = 0.0 if step in weather.engine_away else room % 1 + weather.capacity * installs / STEPS
        while spool and room >= 1:
            taken = min(int(room), spool[0][1])
            spool[0][1] -= taken
            held, room = held - taken, room - taken
            if not spool[0][1]:
                spool.popleft()
        course.accepted.append(accepted / installs)
        course.waiting.append(held / installs)
        course.pressures.append(strength)
    return course


def _step(moment: int) -> int:
    """Return the first run of the cron at or after a moment."""
    return -(-(moment - BEGIN) // STEP)


def main() -> None:
    """Print what the fleet does in five kinds of weather."""
    third = 3 * STEPS
    for name, weather, days in (
        ("no outage", Weather(), 8),
        ("ClickHouse away for 6 h", Weather(engine_away=range(third, third + 6 * HOUR)), 8),
        ("collector away for 6 h", Weather(collector_away=range(third, third + 6 * HOUR)), 8),
        ("ClickHouse away for 3 days", Weather(engine_away=range(third, third + 3 * STEPS)), 12),
        ("the same, next_in fixed", Weather(engine_away=range(third, third + 3 * STEPS), defers=False), 12),
        ("ClickHouse loads 80% of the even rate", Weather(capacity=0.8), 30),
        ("the same, next_in fixed", Weather(capacity=0.8, defers=False), 30),
    ):
        course = simulate(weather, days)
        after = range(third, days * STEPS)
        daily = " ".join(f"{rate:.2f}" for rate in course.rates(range(2 * STEPS, days * STEPS), STEPS))
        print(f"{name}\n  beacons by day, from the third: {daily}")
        print(f"  busiest 5 minutes {max(course.rates(after)):.2f}, busiest hour {max(course.rates(after, HOUR)):.2f}")
        print(
            f"  spool at most {max(course.waiting):.2f} days of the fleet, at the end {course.waiting[-1]:.2f}; ",
            end="",
        )
        print(f"pressure at most {max(course.pressures):.2f}")


if __name__ == "__main__":
    main()
