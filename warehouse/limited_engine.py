"""The engine for questions: what one of them may take of ClickHouse, in time, memory, rows and threads."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

from warehouse.at_once import PARTS
from warehouse.cancellation import Gone
from warehouse.engine import Engine, EngineError, Trouble
from warehouse.errors import Cancelled
from warehouse.licensing.state_codec import Seal
from warehouse.server_users import ServerUser

MEMORY = 1 << 30
# More than any chart or table shows; each row becomes an object of this process.
RESULT_ROWS = 250_000
# ClickHouse compiles what it has seen three times. That takes up to 0.8 s of CPU, within the fourth answer, and the
# statements of other days and filters gain nothing from it.
NOT_COMPILED = {"compile_aggregate_expressions": 0, "compile_expressions": 0, "compile_sort_description": 0}
# What ClickHouse says: timeout, too many rows or bytes, too much memory, too slow.
_EXCEEDED = frozenset({159, 160, 241, 396})


class LimitExceeded(EngineError):
    """A question needs more than one question may take; a narrower one may fit."""


class _Threads:
    """ClickHouse's threads, shared out among the questions, and the parts of one, that run at the same time.

    A statement on all threads takes a sixth more CPU than on one, which others then wait for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._all: int | None = None

    @contextmanager
    def share(self, engine: Engine, limits: Mapping[str, Any]) -> Iterator[dict[str, int]]:
        """Count a question as one that runs. Yields the setting of its threads, if it has to share them."""
        if self._all is None:
            self._all = _all_threads(engine, limits)
        with self._lock:
            self._running += 1
            share = max(1, self._all // max(self._running, PARTS.get()))
        try:
            yield {"max_threads": share} if share < self._all else {}
        finally:
            with self._lock:
                self._running -= 1


def _all_threads(engine: Engine, limits: Mapping[str, Any]) -> int:
    """The threads of a statement that is alone; 1 where a profile does not let Pharos choose fewer."""
    found = engine.query(
        "SELECT getSetting('max_threads')::UInt64 FROM system.settings "
        "WHERE name = 'max_threads' AND NOT readonly AND isNull(min)",
        settings=limits,
    )
    return int(found[0][0]) if found else 1


class LimitedEngine(Engine):
    """An engine whose queries have limits; connections and state are those of the engine that it is made of.

    `asker` is called in the thread of each query. It returns a function that says whether the client is gone, which
    ends the query, or None for a query that others also wait for. `ended` is called after each query with its outcome
    (`answered`, `limited`, `cancelled` or `failed`) and the seconds that it took.
    """

    def __init__(
        self,
        engine: Engine,
        seconds: int,
        asker: Callable[[], Gone | None] = lambda: None,
        threads: _Threads | None = None,
        ended: Callable[[str, float], None] = lambda outcome, seconds: None,
    ) -> None:
        self._engine, self._seconds, self._asker, self._ended = engine, seconds, asker, ended
        self._threads = threads or _Threads()
        self.cluster, self.database, self.planes = engine.cluster, engine.database, engine.planes

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self._engine.embedded

    @cached_property
    def seal(self) -> Seal:
        """What seals the states of the license plane."""
        return self._engine.seal

    @property
    def trouble(self) -> Trouble | None:
        """What fails, as long as nothing has succeeded since."""
        return self._engine.trouble

    @property
    def servers(self) -> list[Engine]:
        """The engine of each server, with the same limits."""
        others = self._engine.servers[1:]
        return [self, *(LimitedEngine(each, self._seconds, self._asker, ended=self._ended) for each in others)]

    def as_user(self, account: ServerUser) -> Engine:
        """The same engine with the same limits, asked as that user of the server."""
        return LimitedEngine(self._engine.as_user(account), self._seconds, self._asker, self._threads, self._ended)

    def close(self) -> None:
        """Nothing: the engine is closed by who made it."""

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a SELECT. Raises `LimitExceeded`, `Cancelled` and `EngineError`."""
        limits: dict[str, Any] = {
            "max_execution_time": self._seconds,
            "max_memory_usage": MEMORY,
            "max_result_rows": RESULT_ROWS,
            "result_overflow_mode": "throw",
            "timeout_overflow_mode": "throw",
            **NOT_COMPILED,
            **(settings or {}),
        }
        gone = self._asker()
        outcome, began = "failed", time.monotonic()
        try:
            with self._threads.share(self._engine, limits) as share:
                if gone is None:
                    rows = self._engine.query(sql, parameters, share | limits)
                else:
                    rows = self._engine.query_until(gone, sql, parameters, share | limits)
            outcome = "answered"
            return rows
        except Cancelled:
            outcome = "cancelled"
            raise
        except EngineError as error:
            if getattr(error.__cause__, "code", None) in _EXCEEDED:
                outcome = "limited"
                raise LimitExceeded(
                    f"it takes more than {self._seconds} s, {MEMORY >> 20} MiB or {RESULT_ROWS} rows"
                ) from error
            raise
        finally:
            self._ended(outcome, time.monotonic() - began)

    def version(self) -> str:
        """ClickHouse's version. Raises `EngineError` when it does not answer soon."""
        return self._engine.version()

    def _client(self, *, database: str = "", seconds: int | None = None) -> AbstractContextManager[Any]:
        return self._engine._client(database=database, seconds=seconds)
