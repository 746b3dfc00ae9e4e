"""Checks whether the figures can be read. The check is public, so its result is cached and only one runs at a time."""

import threading
import time
from collections.abc import Callable

from warehouse.engine import Engine, EngineError
from warehouse.queries import metrics

KEPT_SECONDS = 2.0


class Readiness:
    """The result of the last check, cached for `KEPT_SECONDS`."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._checking = threading.Lock()
        self._until = float("-inf")
        self._error: EngineError | None = None

    def check(self) -> None:
        """Raise `EngineError` if the figures cannot be read. While a check runs, the last result is used."""
        if self._until == float("-inf"):
            with self._checking:  # no result yet
                self._renew()
        elif self._checking.acquire(blocking=False):
            try:
                self._renew()
            finally:
                self._checking.release()
        if self._error is not None:
            raise self._error

    def _renew(self) -> None:
        if self._clock() < self._until:
            return
        try:
            self._engine.version()  # detects a hanging server sooner than a query
            metrics.fresh_to(self._engine)
            self._error = None
        except EngineError as error:
            self._error = error
        self._until = self._clock() + KEPT_SECONDS
