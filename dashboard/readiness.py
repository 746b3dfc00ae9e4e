"""Checks whether the figures can be read. The check is public, so its result is cached and only one runs at a time."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from warehouse.engine import Engine, EngineError, Trouble
from warehouse.migrate import pending

KEPT_SECONDS = 2.0


class Readiness:
    """The result of the last check, cached for `KEPT_SECONDS`."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._checking = threading.Lock()
        self._until = float("-inf")
        self._error: EngineError | None = None
        self._migrating_since: datetime | None = None

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
            self._error = self._migrating()
        except EngineError as error:
            self._error = error
        self._until = self._clock() + KEPT_SECONDS

    def _migrating(self) -> EngineError | None:
        """Return an error while some tables are not those of this version. Raises `EngineError`."""
        files = pending(self._engine)
        if not files:
            self._migrating_since = None
            return None
        self._migrating_since = self._migrating_since or datetime.now(UTC)
        message = f"has not applied the migration {files[0]}"
        return EngineError(message, Trouble(self._migrating_since, message, exact=False))
