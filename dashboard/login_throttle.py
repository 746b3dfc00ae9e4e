"""How often one address may fail to log in. Pure but for its clock; the dashboard is one process, so memory will do."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable

MOST_FAILURES = 10
WINDOW_SECONDS = 900.0
MOST_ADDRESSES = 10_000


class Throttle:
    """Counts failures by address over a sliding window.

    By address and not by name: with names, anybody could lock anybody out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def wait(self, address: str) -> int:
        """Seconds until this address may try again, 0 for now."""
        with self._lock:
            failures = self._failures.get(address)
            if failures is None or len(failures) < MOST_FAILURES:
                return 0
            return max(0, math.ceil(failures[0] + WINDOW_SECONDS - self._clock()))

    def failed(self, address: str) -> None:
        """Note a failure; the address that failed longest ago is forgotten when there are too many."""
        with self._lock:
            failures = self._failures.pop(address, deque(maxlen=MOST_FAILURES))
            failures.append(self._clock())
            self._failures[address] = failures
            if len(self._failures) > MOST_ADDRESSES:
                del self._failures[next(iter(self._failures))]

    def passed(self, address: str) -> None:
        """Forget an address: somebody there knows a password."""
        with self._lock:
            self._failures.pop(address, None)
