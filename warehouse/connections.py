"""Connections to ClickHouse, embedded or on a server, for any number of threads. Only this file imports the driver."""

import contextlib
import functools
import itertools
import os
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from core.home import Home
from core.settings import Settings, clickhouse_port
from warehouse.closable_connections import ClosableConnections
from warehouse.errors import AUTHENTICATION_FAILED, CONTENT_ERRORS, Cancelled, ContentError, Failures, is_away
from warehouse.identifiers import quoted
from warehouse.plane_tables import PLANES, Plane
from warehouse.server_users import Server, ServerUser
from warehouse.statement_settings import NO_TTL_MERGES, PINNED, PINNED_WHERE_KNOWN

QUERY_SECONDS = 60
# The timeout of a probe, and of the first connection after a failure.
PROBE_SECONDS = 5
EMBEDDED_MEMORY = 4 << 30
# The embedded engine must not drop expired data itself. It would do so within seconds of its start, by whatever the
# clock says. `warehouse/retention.py` drops it.
_CONFIG = """<clickhouse><merge_tree>
<max_number_of_merges_with_ttl_in_pool>0</max_number_of_merges_with_ttl_in_pool>
</merge_tree></clickhouse>
"""


class Connections:
    """Keeps idle connections by user and opens new ones.

    Only one process can open the embedded engine: a second one gets `HomeError`. Do not fork after creating this.
    """

    def __init__(self, settings: Settings, home: Home, planes: tuple[Plane, ...] = PLANES) -> None:
        self.failures = Failures("license plane: " if planes == ("license",) else "")
        self.embedded = not settings.clickhouse_url
        self.database = settings.clickhouse_database if settings.clickhouse_url else "pharos"
        self.server = Server.of(settings, planes)
        self.readers_only = bool(settings.clickhouse_readers)
        # Called when the server does not know a user; returns whether to connect as that user again.
        self.create_users: Callable[[], bool] = lambda: False
        self._url = urlsplit(settings.clickhouse_url)
        self._idle: dict[ServerUser | None, list[Any]] = {}
        self._idle_lock = threading.Lock()
        # For each client, what ends its statement.
        self._cancel: weakref.WeakKeyDictionary[Any, Callable[[], None]] = weakref.WeakKeyDictionary()
        self._opening = threading.Lock()
        self._first: Any = None
        self._files = contextlib.ExitStack()
        if self.embedded:
            self._files.enter_context(home.lock("engine"))
            self._path = _prepare_folders(home, self._files)

    def close(self) -> None:
        """Close all connections. The embedded engine writes its data to disk."""
        with self._idle_lock:
            for client in [*itertools.chain(*self._idle.values()), self._first]:
                if client is not None:
                    with contextlib.suppress(Exception):
                        client.close()
            self._idle.clear()
        self._files.close()

    @contextlib.contextmanager
    def client(
        self, account: ServerUser | None = None, *, database: str = "", seconds: int | None = None
    ) -> Iterator[Any]:
        """Return a client for this thread alone: a connection of the embedded engine runs one statement at a time.

        `database` selects a database other than Pharos's own. `seconds` is how long to wait for a server's answer,
        `QUERY_SECONDS` if it is not given. Raises `ContentError` and `EngineError` for failures in the block.
        """
        import clickhouse_connect.driver.exceptions as driver

        client: Any = None
        began = datetime.now(UTC)
        try:
            if not database:
                with self._idle_lock:
                    client = self._idle[account].pop() if self._idle.get(account) else None
            if client is None:
                client = self._connect(database or self.database, seconds or QUERY_SECONDS, account)
            if not self.embedded:
                client.timeout = _timeout(seconds or QUERY_SECONDS)
            yield client
        except Cancelled:
            with contextlib.suppress(Exception):
                client.close()
            raise
        except (driver.Error, OSError) as error:
            code = getattr(error, "code", None)
            if client is not None:
                # A connection of the embedded engine may answer the next query with the rest of the one that failed.
                if not database and not self.embedded and code not in (None, AUTHENTICATION_FAILED):
                    self._put_back(client, account)
                else:
                    with contextlib.suppress(Exception):
                        client.close()
            if isinstance(error, driver.Error) and code in CONTENT_ERRORS:
                # Only the name of the error: its message quotes the value that ClickHouse could not read.
                raise ContentError(f"ClickHouse refuses the rows: {error.name or 'code'} ({code})") from None
            raised = self.failures.failed(error, began)
            if is_away(error):
                self._close_idle()
            raise raised from error
        else:
            if not database:
                self._put_back(client, account)
                self.failures.succeeded()
            else:
                client.close()

    def cancel(self, client: Any) -> None:
        """End the statement that another thread runs with this client. The client must not be used again."""
        self._cancel[client]()

    def _put_back(self, client: Any, account: ServerUser | None) -> None:
        with self._idle_lock:
            self._idle.setdefault(account, []).append(client)

    def _close_idle(self) -> None:
        """Close the idle connections. Otherwise each of them may hang for a minute while ClickHouse is unavailable."""
        with self._idle_lock:
            left, self._idle = self._idle, {}
        for client in itertools.chain(*left.values()):
            with contextlib.suppress(Exception):
                client.close()

    def _connect(self, database: str, seconds: int, account: ServerUser | None) -> Any:
        import clickhouse_connect.driver.exceptions as driver

        if self.embedded:
            return self._connect_embedded(database)
        if self.failures.trouble is not None:
            self._connect_server("default", PROBE_SECONDS).close()
        try:
            return self._connect_server(database, seconds, account)
        except driver.Error as error:
            if account is None or self.readers_only or error.code != AUTHENTICATION_FAILED:
                raise
        # The user does not exist yet, or its password has changed with the password of the URL's user.
        return self._connect_server(database, seconds, account if self.create_users() else None)

    def _connect_server(self, database: str, seconds: int, account: ServerUser | None = None) -> Any:
        import clickhouse_connect  # here, so that a process without queries (a collector) never loads it

        url = self._url
        user, password = unquote(url.username or "default"), unquote(url.password or "")
        if self.readers_only:
            # There is no administrator here; what is of neither plane is asked as the reader of one.
            account = account or self.server.accounts[0]
        if account is not None:
            user, password = self.server.login(account)
        client = clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.hostname,
            port=clickhouse_port(url.geturl()),
            username=user,
            password=password,
            database=database,
            settings=PINNED,
            connect_timeout=PROBE_SECONDS,
            send_receive_timeout=seconds,
            autogenerate_session_id=False,
            dedicated_pool=True,
            # Otherwise the parameters are part of the URL, which proxies and servers with tracing write to their logs.
            form_encode_query_params=True,
        )
        self._cancel[client] = ClosableConnections(client.http).close
        _pin_where_known(client)
        return client

    def _connect_embedded(self, database: str) -> Any:
        import clickhouse_connect

        settings = {**PINNED, "max_memory_usage": EMBEDDED_MEMORY, "max_execution_time": QUERY_SECONDS}
        with self._opening:
            if self._first is None:
                # Stays open: the engine closes with its last connection, and opening it again takes a second.
                first = clickhouse_connect.get_client(interface="chdb", path=self._path, settings=settings)
                first.command(NO_TTL_MERGES)
                first.command(f"CREATE DATABASE IF NOT EXISTS {quoted(self.database)}")
                self._first = first
            client = clickhouse_connect.get_client(
                interface="chdb", path=self._path, database=database, settings=settings
            )
        _pin_where_known(client)
        # The embedded engine chooses the ids of statements itself.
        mark = str(uuid.uuid4())
        client.set_client_setting("log_comment", mark)
        self._cancel[client] = functools.partial(self._kill, mark)
        return client

    def _kill(self, mark: str) -> None:
        with self.client() as client:
            client.command("KILL QUERY WHERE Settings['log_comment'] = {mark:String} ASYNC", {"mark": mark})


def seconds_to_answer(limit: int) -> int:
    """How long to wait for the answer of a server that ends the statement itself after `limit` seconds."""
    return min(QUERY_SECONDS, limit + PROBE_SECONDS)


def _timeout(seconds: int) -> Any:
    from urllib3 import Timeout

    return Timeout(connect=PROBE_SECONDS, read=seconds)


def _pin_where_known(client: Any) -> None:
    for name, value in PINNED_WHERE_KNOWN.items():
        if name in client.server_settings:
            client.set_client_setting(name, value)


def _prepare_folders(home: Home, files: contextlib.ExitStack) -> str:
    """Create the engine's folders and set its environment variables; returns the path to open with chDB."""
    # chDB first writes each insert to a temporary file. A kill leaves that file behind, with beacons in it.
    shutil.rmtree(home.temporary, ignore_errors=True)
    home.temporary.mkdir(mode=0o700)
    tempfile.tempdir = str(home.temporary)
    os.environ["TMPDIR"] = str(home.temporary)
    # The engine does not open in a time zone that it cannot load, such as `UTC+1`.
    os.environ["TZ"] = "UTC"
    home.engine.mkdir(mode=0o700, exist_ok=True)
    config = home.temporary / "engine.xml"
    config.write_text(_CONFIG)
    opened = files.enter_context(config.open())
    return f"{_engine_path(home.engine, files)}?config-file=/proc/self/fd/{opened.fileno()}"


def _engine_path(folder: Path, files: contextlib.ExitStack) -> str:
    """Return the path of a folder for chDB, which reads text after a question mark as options and cannot escape it."""
    path = str(folder.resolve())
    if "?" not in path:
        return path
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    files.callback(os.close, descriptor)
    return f"file:/proc/self/fd/{descriptor}"
