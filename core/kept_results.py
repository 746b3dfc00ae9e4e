"""Keeps results for some seconds, so that threads which need the same result at the same moment compute it once."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class KeptResults(Generic[Key, Result]):
    """Results by key, each for `seconds`. A result that fails is not kept."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._kept: dict[Key, tuple[float, Result]] = {}
        self._locks: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Result]) -> Result:
        """Return the result of `make()`, or that of another call with this key. Other threads wait meanwhile."""
        with self._lock:
            self._forget_old()
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] < self._clock():
                result = make()
                kept = self._kept[key] = self._clock() + self._seconds, result
        return kept[1]

    def _forget_old(self) -> None:
        now = self._clock()
        for key in [key for key, (until, _) in list(self._kept.items()) if until < now]:
            del self._kept[key]
            if key in self._locks and not self._locks[key].locked():
                del self._locks[key]
