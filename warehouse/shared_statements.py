"""An engine that runs each statement once: for one question, or for all that a page asks at the same moment."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from core.kept_results import KeptResults
from warehouse.engine import Engine, Trouble
from warehouse.server_users import ServerUser

# The user, the statement, and its parameters and settings as text.
Asked = tuple[str, str, str, str]


class SharedStatements(Engine):
    """An engine whose every SELECT runs once, however many threads need its rows. It keeps them as long as it lives.

    Whether a group may be shown depends on other groups, so the questions of a page share most of their statements, and
    the parts of a question some of them.
    Connections, state and limits are those of the engine that it is made of.
    """

    def __init__(self, engine: Engine, kept: KeptResults[Asked, list[tuple[Any, ...]]] | None = None) -> None:
        """`kept` are the rows of the same engine asked as other users."""
        self._engine = engine
        self._kept: KeptResults[Asked, list[tuple[Any, ...]]] = kept or KeptResults(math.inf)
        self._account = ""
        self.cluster, self.database, self.planes = engine.cluster, engine.database, engine.planes

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self._engine.embedded

    @property
    def origin(self) -> Engine:
        """The engine that it is made of."""
        return self._engine.origin

    @property
    def trouble(self) -> Trouble | None:
        """What fails, as long as nothing has succeeded since."""
        return self._engine.trouble

    def as_user(self, account: ServerUser) -> Engine:
        """The same engine, asked as that user of the server."""
        other = SharedStatements(self._engine.as_user(account), self._kept)
        other._account = account
        return other

    def close(self) -> None:
        """Nothing: the engine is closed by who made it."""

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a SELECT. Raises `EngineError`; a statement that fails runs again when it is asked again."""
        asked = (self._account, sql, repr(parameters), repr(settings))
        return list(self._kept.get(asked, lambda: self._engine.query(sql, parameters, settings)))

    def _client(self, *, database: str = "", seconds: int | None = None) -> AbstractContextManager[Any]:
        return self._engine._client(database=database, seconds=seconds)
