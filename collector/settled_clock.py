"""Notices that somebody set the clock. What is deleted because of its age is deleted only when the clock has settled.

A machine may start with a wrong clock until it reaches a time server, and data that a wrong clock took for old cannot
be brought back.
"""

import logging
import time
from collections.abc import Callable

# Long enough for a time server to correct the clock, or for somebody who was alerted.
SETTLED_SECONDS = 6 * 3600.0
# A clock that is corrected by less makes nothing old.
STEP_SECONDS = 3600.0

log = logging.getLogger("pharos.clock")


class SettledClock:
    """The wall clock of one process, beside one that cannot be set. Ask at least every hour."""

    def __init__(self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._steady = clock, steady
        self._since = steady()
        self._ahead = clock() - self._since

    def settled(self) -> bool:
        """Return whether the process has run for `SETTLED_SECONDS` since its start and since the clock was last set."""
        now = self._steady()
        ahead = self._clock() - now
        if abs(step := ahead - self._ahead) > STEP_SECONDS:
            log.warning(
                "the clock was set %s by %.1f hours; nothing is deleted because of its age for the next %.0f hours",
                "forward" if step > 0 else "back",
                abs(step) / 3600,
                SETTLED_SECONDS / 3600,
            )
            self._since = now
        self._ahead = ahead
        return now - self._since >= SETTLED_SECONDS
