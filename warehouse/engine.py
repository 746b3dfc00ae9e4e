"""ClickHouse, embedded or on a server, through clickhouse-connect; nothing else in the project imports the driver."""

import contextlib
import itertools
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from core.home import Home
from core.settings import Settings
from warehouse.server_users import Server, ServerUser

# Said with every insert, and not left to a server's profile: async_insert is on by default from 26.2 on, and without
# these the token of a sealed batch does nothing, or nothing for the aggregates behind a materialized view.
INSERT_SETTINGS: dict[str, str | int] = {
    "async_insert": 0,
    "wait_end_of_query": 1,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # One block, so that a batch is in a partition or is not.
    "input_format_parallel_parsing": 0,
    "max_insert_threads": 1,
    "parallel_view_processing": 0,
    "min_insert_block_size_rows": 1_048_449,
    "min_insert_block_size_bytes": 268_402_944,
    "max_insert_block_size": 1_048_449,
    "input_format_skip_unknown_fields": 0,
    "date_time_input_format": "basic",
    # A batch of an import may be of many months.
    "max_partitions_per_insert_block": 1000,
}
CLUSTER_INSERT_SETTINGS: dict[str, str | int] = {"distributed_foreground_insert": 1, "insert_quorum": 0}
# What ClickHouse says of a row that it cannot read: parse and type errors. Anything else may pass with time.
CONTENT_ERRORS = frozenset({6, 26, 27, 32, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 441, 467, 676})
# What ClickHouse says to a user whom it does not know, and to one who may not make users or has no place to keep them.
AUTHENTICATION_FAILED = 516
NO_ACCESS_MANAGEMENT = frozenset({495, 497, 514})
# For statements that name installs or beacons: no log of a server tells when they were asked for, and with whom.
UNLOGGED: dict[str, str | int] = {"log_queries": 0, "log_queries_cut_to_length": 20}
QUERY_SECONDS = 60
# How long a server may take to say that it is there: to those who only ask that, and to all once it has failed.
PROBE_SECONDS = 5
# A missing table fails some queries while others succeed between them. After this long without it, it is mended.
FORGET = timedelta(minutes=10)
PORTION = 5000
EMBEDDED_MEMORY = 4 << 30

log = logging.getLogger("pharos.engine")


@dataclass(frozen=True)
class Trouble:
    """ClickHouse fails: the first failure since it last answered, and what it does, in words that complete its name.

    The words hold no address, no secret and nothing of a query. `exact` is False where nobody had asked it for a
    minute before, as after a start: then it may have begun earlier.
    """

    since: datetime
    message: str
    exact: bool = True


class EngineError(Exception):
    """ClickHouse could not be reached, or did not do it: the outcome is unknown, and it may be tried again."""

    def __init__(self, message: str = "", trouble: Trouble | None = None) -> None:
        super().__init__(message)
        self.trouble = trouble


class ContentError(EngineError):
    """ClickHouse refused what the rows hold: the same rows will be refused again, and nothing of them was stored."""


class Engine:
    """ClickHouse: queries and inserts from any number of threads.

    The embedded engine belongs to one process: a second one gets `HomeError`. Do not fork after making it.
    """

    def __init__(self, settings: Settings, home: Home) -> None:
        self.cluster = settings.clickhouse_cluster
        self._url = settings.clickhouse_url
        self._readers = settings.clickhouse_readers
        self._home = home
        self._lock: IO[bytes] | None = None
        self._idle: dict[ServerUser | None, list[Any]] = {}
        self._idle_lock = threading.Lock()
        self._opening = threading.Lock()
        self._first: Any = None
        # Why all that is asked of a server is asked as the URL's user; "" where each part has a user of its own.
        self.one_user = ""
        self._noting = threading.Lock()
        self._answered: datetime | None = None
        self._trouble: Trouble | None = None
        # By what ClickHouse does ("" for no answer at all): since when, whether that is exact, and the last time.
        self._failures: dict[str, tuple[datetime, bool, datetime]] = {}
        self.database = (urlsplit(self._url).path.strip("/") or "default") if self._url else "pharos"
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", self.database):
            raise EngineError("the database in PHAROS_CLICKHOUSE_URL is no plain name")
        if not self.embedded:
            return
        self._lock = home.lock("engine")
        # chDB writes each insert to a temporary file first; a kill leaves it behind with beacons inside.
        shutil.rmtree(home.temporary, ignore_errors=True)
        home.temporary.mkdir(mode=0o700)
        tempfile.tempdir = str(home.temporary)
        os.environ["TMPDIR"] = str(home.temporary)
        home.engine.mkdir(mode=0o700, exist_ok=True)

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return not self._url

    @property
    def trouble(self) -> Trouble | None:
        """What fails, as long as nothing has succeeded since."""
        return self._trouble

    def close(self) -> None:
        """Close all connections; the embedded engine writes out what it holds."""
        with self._idle_lock:
            for client in itertools.chain(*self._idle.values()):
                with contextlib.suppress(Exception):
                    client.close()
            self._idle.clear()
            if self._first is not None:
                with contextlib.suppress(Exception):
                    self._first.close()
        if self._lock is not None:
            self._lock.close()

    def as_user(self, account: ServerUser) -> "Engine":
        """The same engine, asked as that user of the server; the embedded engine, which has no users, as it is."""
        return self if self.embedded or self.one_user else _AsUser(self, account)

    def create_users(self, *, anew: bool = False) -> None:
        """Make the server's users and their grants, or find out that it cannot be: `one_user` then says why.

        `anew` also those that have the grants that they should have, with their passwords. Raises `EngineError`.
        """
        if self.embedded:
            return
        if self._readers:
            raise EngineError("the readers' logins may not make users: pharos migrate does, with the administrator's")
        server = self._server()
        why = server.obstacle
        try:
            if not why:
                self._create_users(server, anew)
        except EngineError as error:
            if getattr(error.__cause__, "code", None) not in NO_ACCESS_MANAGEMENT:
                raise
            why = "the user of PHAROS_CLICKHOUSE_URL may not make users"
        if why and not self.one_user:
            log.warning("ClickHouse is asked as one user for both planes: %s", why)
        self.one_user = why

    def readers_passwords(self) -> str:
        """What `PHAROS_CLICKHOUSE_READERS` is set to for a process that may read alone; "" where there are no users."""
        return "" if self.embedded or self.one_user else self._server().readers_passwords()

    def _create_users(self, server: Server, anew: bool) -> None:
        for account in ServerUser:
            # Asked first: on a cluster each of these statements waits for every replica, also for one that is down.
            if not anew and set(self._held(account)) == server.right(account):
                continue
            for statement in server.make(account):
                self.command(statement)
            for statement in server.take_back(account, self._held(account)):
                self.command(statement)
        views = self.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView' "
            "AND create_table_query NOT LIKE '%SQL SECURITY NONE%'"
        )
        for (view,) in views:
            self.command(server.open_view(view))

    def _held(self, account: ServerUser) -> list[tuple[Any, ...]]:
        return self.query(
            "SELECT toString(access_type), ifNull(table, ''), ifNull(column, '') FROM system.grants "
            "WHERE user_name = {name:String}",
            {"name": account.user(self.database)},
        )

    def _server(self) -> Server:
        url = urlsplit(self._url)
        loopback = url.hostname in ("127.0.0.1", "::1", "localhost")
        return Server(self.database, self.cluster, unquote(url.password or ""), loopback, self._readers)

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a SELECT; parameters are bound by the server (`{name:Type}`). Raises `EngineError`."""
        with self._client() as client:
            return list(client.query(sql, parameters=dict(parameters or {}), settings=dict(settings or {})).result_rows)

    def query_each(
        self, sql: str, name: str, values: Collection[int], parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a SELECT for any number of ids, given to it as `{name:Array(UInt64)}` in portions, and in no log.

        A server refuses a parameter of more than 128 KiB (`http_max_field_value_size`).
        """
        ordered = sorted(values)
        rows: list[tuple[Any, ...]] = []
        for first in range(0, len(ordered), PORTION):
            rows += self.query(sql, {**(parameters or {}), name: ordered[first : first + PORTION]}, UNLOGGED)
        return rows

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        """Run a statement that answers nothing. Raises `EngineError`."""
        with self._client() as client:
            client.command(sql, settings=dict(settings or {}))

    def json_rows(self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]) -> list[bytes]:
        """The rows of a SELECT, each as a line of JSON. Raises `EngineError`."""
        given = {**settings, "output_format_json_quote_64bit_integers": 0}
        with self._client() as client:
            raw: bytes = client.raw_query(sql, parameters=dict(parameters), settings=given, fmt="JSONEachRow")
        return raw.splitlines()

    def insert(self, table: str, lines: Sequence[bytes], token: str) -> None:
        """Insert JSON lines as one batch. The same `token` with the same lines again changes nothing.

        Raises `ContentError` when the lines themselves are refused, `EngineError` when the outcome is unknown.
        """
        self._insert(table, b"\n".join(lines), "JSONEachRow", token)

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """What a SELECT finds, in ClickHouse's own format, Native. Raises `EngineError`."""
        # Or a server that fails in the middle has said 200 by then.
        settings = {} if self.embedded else {"wait_end_of_query": 1}
        with self._client() as client:
            found: bytes = client.raw_query(sql, dict(parameters or {}), settings, fmt="Native")
            return found

    def write(self, table: str, native: bytes, token: str) -> None:
        """Insert what `read` gave, here or elsewhere, as one batch; as `insert` otherwise."""
        # What was read before a column was dropped still has it.
        self._insert(table, native, "Native", token, {"input_format_skip_unknown_fields": 1})

    def _insert(self, table: str, block: bytes, fmt: str, token: str, more: Mapping[str, Any] | None = None) -> None:
        cluster = CLUSTER_INSERT_SETTINGS if self.cluster else {}
        settings = {**INSERT_SETTINGS, **cluster, **(more or {}), "insert_deduplication_token": token}
        with self._client() as client:
            client.raw_insert(table, insert_block=block, fmt=fmt, settings=settings)

    def reads(self, table: str, line: bytes) -> bool:
        """Whether `table`, as its columns stand, can read this JSON line; nothing is stored. Raises `EngineError`."""
        columns = self.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": table},
        )
        structure = ", ".join(f"{name} {type}" for name, type in columns).replace("\\", "\\\\").replace("'", "\\'")
        try:
            with self._client() as client:
                client.raw_insert(
                    f"FUNCTION null('{structure}')", insert_block=line, fmt="JSONEachRow", settings=INSERT_SETTINGS
                )
        except ContentError:
            return False
        return True

    def version(self) -> str:
        """ClickHouse's version. Raises `EngineError` when it does not answer within `PROBE_SECONDS`."""
        with self._client(database="default", seconds=PROBE_SECONDS) as client:
            return str(client.query("SELECT version()").result_rows[0][0])

    def has_database(self) -> bool:
        """Whether the database is there. Raises `EngineError`."""
        with self._client(database="default") as client:
            named = {"name": self.database}
            return bool(client.query("SELECT 1 FROM system.databases WHERE name = {name:String}", named).result_rows)

    def create_database(self) -> None:
        """Make the database where it is not there."""
        on_cluster = f" ON CLUSTER {self.cluster}" if self.cluster else ""
        with self._client(database="default") as client:
            client.command(f"CREATE DATABASE IF NOT EXISTS {self.database}{on_cluster}")

    @contextlib.contextmanager
    def _client(
        self, database: str | None = None, seconds: int | None = None, account: ServerUser | None = None
    ) -> Iterator[Any]:
        """A client for this thread alone: one connection of the embedded engine runs one statement at a time."""
        import clickhouse_connect.driver.exceptions as driver

        client = None
        began = datetime.now(UTC)
        try:
            if database is None:
                with self._idle_lock:
                    client = self._idle[account].pop() if self._idle.get(account) else None
            client = client or self._connect(database or self.database, seconds or QUERY_SECONDS, account)
            yield client
        except driver.Error as error:
            if client is not None:
                # A connection of the embedded engine may answer the next query with the rest of the one that failed.
                if database is None and not self.embedded and error.code not in (None, AUTHENTICATION_FAILED):
                    self._put_back(client, account)
                else:
                    with contextlib.suppress(Exception):
                        client.close()
            if error.code in CONTENT_ERRORS:
                # By its name only: the message quotes what it could not read.
                raise ContentError(f"ClickHouse refuses the rows: {error.name or 'code'} ({error.code})") from None
            raise self._failed(error, began) from error
        except OSError as error:
            raise self._failed(error, began) from error
        else:
            if database is None:
                self._put_back(client, account)
                self._succeeded()
            else:
                client.close()

    def _put_back(self, client: Any, account: ServerUser | None) -> None:
        with self._idle_lock:
            self._idle.setdefault(account, []).append(client)

    def _succeeded(self) -> None:
        with self._noting:
            self._answered = datetime.now(UTC)
            self._trouble = None
            self._failures.pop("", None)

    def _failed(self, error: Exception, began: datetime) -> EngineError:
        """Note a failure of what began then; returns what to raise."""
        message = _what_it_does(error)
        away = getattr(error, "code", None) is None
        what = "" if away else message
        with self._noting:
            # That it answered something else a moment ago says nothing of what it refuses now.
            exact = away and self._answered is not None and began - self._answered < timedelta(minutes=1)
            since, was_exact, last = self._failures.get(what, (began, exact, began))
            if not away and began - last > FORGET:
                since, was_exact = began, exact
            self._failures[what] = since, was_exact, began
            trouble = self._trouble = Trouble(since, message, was_exact)
        if away:
            # Each connection that is left would have to find out by itself, and may hang for a minute.
            with self._idle_lock:
                left, self._idle = self._idle, {}
            for client in itertools.chain(*left.values()):
                with contextlib.suppress(Exception):
                    client.close()
        return EngineError(_first_line(error), trouble)

    def _connect(self, database: str, seconds: int, account: ServerUser | None) -> Any:
        import clickhouse_connect.driver.exceptions as driver

        if self.embedded:
            return self._connect_embedded(database)
        if self._trouble is not None:
            self._connect_server("default", PROBE_SECONDS).close()
        try:
            return self._connect_server(database, seconds, account)
        except driver.Error as error:
            if account is None or self._readers or error.code != AUTHENTICATION_FAILED:
                raise
        # Not made yet, or the password of the URL's user is another since.
        self.create_users(anew=True)
        return self._connect_server(database, seconds, None if self.one_user else account)

    def _connect_server(self, database: str, seconds: int, account: ServerUser | None = None) -> Any:
        import clickhouse_connect  # here: a process that never asks (a collector) never loads it

        url = urlsplit(self._url)
        user, password = unquote(url.username or "default"), unquote(url.password or "")
        if self._readers:
            # There is no administrator here; what is asked of none of the planes is asked as a reader of one.
            account = account or ServerUser.PRODUCT
        if account is not None:
            user, password = self._server().login(account)
        return clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.hostname,
            port=url.port or (8443 if url.scheme == "https" else 8123),
            username=user,
            password=password,
            database=database,
            connect_timeout=5,
            send_receive_timeout=seconds,
            autogenerate_session_id=False,
            # Else they are in the address, which a server that traces writes to its log, and a proxy too.
            form_encode_query_params=True,
        )

    def _connect_embedded(self, database: str) -> Any:
        import clickhouse_connect

        path = str(self._home.engine)
        limits = {"max_memory_usage": EMBEDDED_MEMORY, "max_execution_time": QUERY_SECONDS}
        with self._opening:
            if self._first is None:
                # Stays open: with its last connection the engine itself closes, and opens again for a second.
                first = clickhouse_connect.get_client(interface="chdb", path=path, settings=limits)
                first.command(f"CREATE DATABASE IF NOT EXISTS {self.database}")
                self._first = first
            return clickhouse_connect.get_client(interface="chdb", path=path, database=database, settings=limits)


class _AsUser(Engine):
    """An engine as one of the server's users sees it; connections and state are the engine's."""

    def __init__(self, engine: Engine, account: ServerUser) -> None:
        self._engine, self._account = engine, account
        self.cluster, self.database = engine.cluster, engine.database

    @property
    def embedded(self) -> bool:
        return False

    @property
    def trouble(self) -> Trouble | None:
        return self._engine.trouble

    def as_user(self, account: ServerUser) -> Engine:
        return self._engine.as_user(account)

    def close(self) -> None:
        """Nothing: the engine is closed by who made it."""

    def _client(
        self, database: str | None = None, seconds: int | None = None, account: ServerUser | None = None
    ) -> Any:
        return self._engine._client(database, seconds, self._account)


def _first_line(error: Exception) -> str:
    text = (str(error) or type(error).__name__).splitlines()[0]
    if "HTTPConnectionPool" in text or "HTTPSConnectionPool" in text:
        return "the ClickHouse server does not answer"
    return _AROUND.sub("", text)[:300]


# What the driver and the server put around what is wrong: codes, the server's version, its address.
_AROUND = re.compile(
    r"^Received ClickHouse exception, code: \d+, server response: (Code: \d+\. )?(DB::Exception: )?"
    r"| \(version [^()]*(\([^()]*\))?\)| \(for url [^)]*\)"
)


def _what_it_does(error: Exception) -> str:
    code, name, text = getattr(error, "code", None), getattr(error, "name", None), str(error)
    if code is not None:
        return f"answers with {name or 'error'} ({code})"
    if status := re.search(r"HTTP status (\d{3})", text):
        return f"answers with HTTP status {status[1]}"
    for sign, words in _SIGNS.items():
        if sign in text:
            return f"does not answer ({words})"
    return "does not answer"


_SIGNS = {
    "Connection refused": "connection refused",
    "Failed to resolve": "its name is not known",
    "timed out": "not in time",
}
