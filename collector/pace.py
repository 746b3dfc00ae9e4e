"""How far the fleet should back off: the pressure on this collector, from 0 (none) to 1.

At full pressure each install sends every other day: its `next_in` is a day longer, and at most the two days that a
client follows. At pressure p, a share p of the installs does so (`Planes.skips`).
"""

import time
from collections.abc import Callable

DAY = 86400
LONGEST = 2 * DAY
# (no pressure up to here, full pressure from here). Half an hour without ClickHouse is an upgrade, and costs no report.
AGE_SECONDS = (1800.0, 43200.0)
UNAVAILABLE_SHARE = (0.01, 0.5)
# The share of 503 is that of the last five to ten minutes, and of at least so many requests: one 503 is no overload.
WINDOW_SECONDS = 300.0
FEWEST = 100
REFRESH_SECONDS = 1.0


def pressure(age: float, unavailable: float) -> float:
    """Return the pressure for the age of the oldest beacon in the spool (seconds) and the share of 503 (0 to 1)."""
    return max(_ramp(age, *AGE_SECONDS), _ramp(unavailable, *UNAVAILABLE_SHARE))


def deferred(next_in: int) -> int:
    """Return the `next_in` of an install that skips a day."""
    return min(next_in + DAY, LONGEST)


class Pace:
    """The pressure as one worker sees it. `oldest` returns the time of receipt of the spool's oldest beacon, or None.

    A 429 does not count: whoever floods a key or an address would otherwise slow the whole fleet down. Threads share
    the counters without a lock. A lost increment changes nothing that matters.
    """

    def __init__(
        self,
        oldest: Callable[[], int | None],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._oldest, self._clock, self._steady = oldest, clock, steady
        self._stored = self._unavailable = 0
        self._before = (0, 0)
        self._began = steady()
        self._refreshed = float("-inf")
        self._pressure = 0.0

    def note_unavailable(self) -> None:
        """Count a request that got a 503."""
        self._unavailable += 1

    def after_stored(self) -> float:
        """Count a request whose beacons were stored; returns the pressure, as of at most a second ago."""
        self._stored += 1
        now = self._steady()
        if now - self._refreshed >= REFRESH_SECONDS:
            self._refreshed = now
            self._refresh(now)
        return self._pressure

    def _refresh(self, now: float) -> None:
        if now - self._began >= WINDOW_SECONDS:
            recent = now - self._began < 2 * WINDOW_SECONDS
            self._before = (self._stored, self._unavailable) if recent else (0, 0)
            self._stored = self._unavailable = 0
            self._began = now
        unavailable = self._unavailable + self._before[1]
        answered = self._stored + self._before[0] + unavailable
        oldest = self._oldest()
        age = 0.0 if oldest is None else self._clock() - oldest
        self._pressure = pressure(age, unavailable / max(answered, FEWEST))


def _ramp(value: float, none: float, full: float) -> float:
    return min(1.0, max(0.0, (value - none) / (full - none)))
