"""ClickHouse, embedded or on a server: the statements and inserts that all other parts use."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import Any

from core.home import Home, HomeError
from core.settings import Settings
from warehouse.cancellation import Gone, cancelled_when
from warehouse.connections import Connections, seconds_to_answer
from warehouse.create_users import create_users
from warehouse.errors import ContentError, EngineError, Trouble
from warehouse.identifiers import on_cluster, quoted
from warehouse.licensing.state_codec import Seal, Unreadable
from warehouse.plane_tables import PLANES, Plane, plane_of
from warehouse.server_users import ServerUser
from warehouse.statement_settings import CANCELLABLE, UNLOGGED, WHOLE_ANSWER

__all__ = ["ContentError", "Engine", "EngineError", "Trouble"]

PORTION = 5000

log = logging.getLogger("pharos.engine")


class Engine:
    """Runs queries and inserts in ClickHouse, from any number of threads.

    Only one process can open the embedded engine: a second one gets `HomeError`. Do not fork after creating this.

    With `PHAROS_LICENSE_CLICKHOUSE_URL` the license plane has a server of its own. An engine runs statements on its own
    server only, the one with the usage plane; `of` returns the engine that holds a table.
    """

    # The engine of the license plane, if its server is another one.
    _license: "Engine | None" = None
    # The planes that the server of this engine holds.
    planes: tuple[Plane, ...] = PLANES

    def __init__(self, settings: Settings, home: Home, planes: tuple[Plane, ...] = PLANES) -> None:
        if settings.license_clickhouse_url:
            self._license, planes = Engine(settings.license_server, home, ("license",)), ("usage",)
        self.planes = planes
        self.cluster = settings.clickhouse_cluster
        self.raw_days, self.aggregate_months = settings.raw_days, settings.aggregate_months
        # Why all statements run as the URL's user; "" when each part of Pharos has its own user.
        self.one_user = ""
        self._key_of_states = partial(home.key_of_states, settings)
        self._connections = Connections(settings, home, planes)
        self._connections.create_users = self._create_users_anew
        self.database = self._connections.database

    @cached_property
    def seal(self) -> Seal:
        """What seals the states of the license plane. Raises `Unreadable` where its key is not."""
        try:
            return Seal(self._key_of_states())
        except HomeError as error:
            raise Unreadable(str(error)) from None

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self._connections.embedded

    @property
    def origin(self) -> "Engine":
        """The engine itself, or the one whose statements this one shares."""
        return self

    @property
    def trouble(self) -> Trouble | None:
        """The current failure; None once a statement has succeeded."""
        return self._connections.failures.trouble

    def close(self) -> None:
        """Close all connections. The embedded engine writes its data to disk."""
        self._connections.close()
        if self._license is not None:
            self._license.close()

    @property
    def servers(self) -> "list[Engine]":
        """The engine of each server: this one, and that of the license plane if it has its own."""
        return [self] if self._license is None else [self, self._license]

    def of(self, table: str) -> "Engine":
        """Return the engine of the server that holds a table."""
        return next(server for server in self.servers if plane_of(table) in server.planes)

    def as_user(self, account: ServerUser) -> "Engine":
        """Return this engine with statements run as that user. The embedded engine has no users and returns itself.

        The user of the license plane's pages is one of the license plane's server.
        """
        if account is ServerUser.LICENSING and self._license is not None:
            return self._license.as_user(account)
        return self if self.embedded or self.one_user else _AsUser(self, account)

    @property
    def accounts(self) -> list[ServerUser]:
        """The users that this server needs."""
        return self._connections.server.accounts

    def create_users(self, *, anew: bool = False) -> None:
        """Create this server's users and their grants. Where it cannot have them, set `one_user` to the reason.

        `anew` also alters users with correct grants, to set their passwords again. Raises `EngineError`.
        """
        if self.embedded:
            return
        if self._connections.readers_only:
            raise EngineError("the readers' logins may not make users: pharos migrate does, with the administrator's")
        why = create_users(self._connections, anew=anew)
        if why and not self.one_user:
            log.warning("all queries run as one ClickHouse user: %s", why)
        self.one_user = why

    def readers_passwords(self) -> str:
        """What `PHAROS_CLICKHOUSE_READERS` is set to for a process that may read alone; "" where there are no users."""
        if any(server.embedded or server.one_user for server in self.servers):
            return ""
        return " ".join(server._connections.server.readers_passwords() for server in self.servers)

    def _create_users_anew(self) -> bool:
        self.create_users(anew=True)
        return not self.one_user

    @property
    def on_cluster(self) -> str:
        """The `ON CLUSTER` clause, which runs a statement on all servers of the cluster; "" without a cluster."""
        return on_cluster(self.cluster)

    def altered(self, table: str) -> str:
        """Return a table's name for `ALTER TABLE`: the table that holds the rows, on all servers of the cluster."""
        return f"{quoted(f'{table}_local')}{self.on_cluster}" if self.cluster else quoted(table)

    def synchronize(self, table: str) -> None:
        """Wait until each replica of a cluster has the rows that another one has received. Raises `EngineError`."""
        if self.cluster:
            self.command(f"SYSTEM SYNC REPLICA{self.on_cluster} {quoted(self.database)}.{quoted(f'{table}_local')}")

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT. ClickHouse binds the parameters (`{name:Type}`). Raises `EngineError`."""
        with self._client(seconds=_seconds(settings)) as client:
            return _rows(client, sql, parameters, settings)

    def query_until(
        self, gone: Gone, sql: str, parameters: Mapping[str, Any] | None, settings: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Like `query`, but ends the statement as soon as `gone` returns True. Raises `Cancelled` and `EngineError`."""
        with (
            self._client(seconds=_seconds(settings)) as client,
            cancelled_when(gone, partial(self._connections.cancel, client)),
        ):
            return _rows(client, sql, parameters, {**settings, **({} if self.embedded else CANCELLABLE)})

    def query_each(
        self, sql: str, name: str, values: Collection[int], parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT for any number of ids. They are sent in portions, as `{name:Array(UInt64)}`.

        No log records the ids. Portions, because a server rejects a parameter of more than 128 KiB
        (`http_max_field_value_size`).
        """
        ordered = sorted(values)
        rows: list[tuple[Any, ...]] = []
        for first in range(0, len(ordered), PORTION):
            rows += self.query(sql, {**(parameters or {}), name: ordered[first : first + PORTION]}, UNLOGGED)
        return rows

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns no rows. Raises `EngineError`."""
        with self._client() as client:
            client.command(sql, settings=dict(settings or {}))

    def json_rows(self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]) -> list[bytes]:
        """Return the rows of a SELECT, each as a line of JSON. Raises `EngineError`."""
        with self._client() as client:
            raw: bytes = client.raw_query(sql, parameters=dict(parameters), settings=dict(settings), fmt="JSONEachRow")
        return raw.splitlines()

    def insert(self, table: str, lines: Sequence[bytes], token: str) -> None:
        """Insert JSON lines as one batch. Repeating it with the same `token` and the same lines changes nothing.

        Raises `ContentError` when ClickHouse rejects the lines, `EngineError` when the outcome is unknown.
        """
        self._insert(table, b"\n".join(lines), "JSONEachRow", token)

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """Return the result of a SELECT in Native, ClickHouse's own format. Raises `EngineError`."""
        settings = {} if self.embedded else WHOLE_ANSWER
        with self._client() as client:
            found: bytes = client.raw_query(sql, dict(parameters or {}), settings, fmt="Native")
            return found

    def write(self, table: str, native: bytes, token: str) -> None:
        """Insert a result of `read`, of this or another engine, as one batch. Otherwise like `insert`."""
        # A result that is older than a `DROP COLUMN` still has that column.
        self._insert(table, native, "Native", token, {"input_format_skip_unknown_fields": 1})

    def _insert(self, table: str, block: bytes, fmt: str, token: str, more: Mapping[str, Any] | None = None) -> None:
        settings = {**WHOLE_ANSWER, **(more or {}), "insert_deduplication_token": token}
        with self._client() as client:
            client.raw_insert(table, insert_block=block, fmt=fmt, settings=settings)

    def reads(self, table: str, line: bytes) -> bool:
        """Whether `table` with its current columns can read this JSON line. Stores nothing. Raises `EngineError`.

        Runs as the administrator: table functions would let any other user read every table.
        """
        columns = self.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": table},
        )
        structure = ", ".join(f"{quoted(name)} {type}" for name, type in columns)
        literal = structure.replace("\\", "\\\\").replace("'", "\\'")
        try:
            with self._client() as client:
                client.raw_insert(f"FUNCTION null('{literal}')", insert_block=line, fmt="JSONEachRow")
        except ContentError:
            return False
        return True

    def version(self) -> str:
        """ClickHouse's version. Raises `EngineError` when it does not answer soon."""
        with self._client(database="default", seconds=seconds_to_answer(0)) as client:
            return str(client.query("SELECT version()").result_rows[0][0])

    def has_database(self) -> bool:
        """Whether the database exists. Raises `EngineError`."""
        with self._client(database="default") as client:
            named = {"name": self.database}
            return bool(client.query("SELECT 1 FROM system.databases WHERE name = {name:String}", named).result_rows)

    def create_database(self) -> None:
        """Create the database if it does not exist."""
        with self._client(database="default") as client:
            client.command(f"CREATE DATABASE IF NOT EXISTS {quoted(self.database)}{self.on_cluster}")

    def _client(self, *, database: str = "", seconds: int | None = None) -> AbstractContextManager[Any]:
        return self._connections.client(database=database, seconds=seconds)


def _seconds(settings: Mapping[str, Any] | None) -> int | None:
    """How long to wait for the answer of a SELECT with a limit; None without one."""
    limit = (settings or {}).get("max_execution_time")
    return seconds_to_answer(limit) if limit else None


def _rows(
    client: Any, sql: str, parameters: Mapping[str, Any] | None, settings: Mapping[str, Any] | None
) -> list[tuple[Any, ...]]:
    return list(client.query(sql, parameters=dict(parameters or {}), settings=dict(settings or {})).result_rows)


class _AsUser(Engine):
    """An engine that runs statements as one of the server's users. It shares the engine's connections and state."""

    def __init__(self, engine: Engine, account: ServerUser) -> None:
        self._engine, self._account = engine, account
        self._key_of_states = engine._key_of_states
        self._connections = engine._connections
        self.cluster, self.database, self.planes = engine.cluster, engine.database, engine.planes
        self.raw_days, self.aggregate_months = engine.raw_days, engine.aggregate_months

    @property
    def servers(self) -> list[Engine]:
        return [self, *(server.as_user(self._account) for server in self._engine.servers[1:])]

    def as_user(self, account: ServerUser) -> Engine:
        return self._engine.as_user(account)

    def close(self) -> None:
        """Do nothing: the owner of the engine closes it."""

    def _client(self, *, database: str = "", seconds: int | None = None) -> AbstractContextManager[Any]:
        return self._connections.client(self._account, database=database, seconds=seconds)
