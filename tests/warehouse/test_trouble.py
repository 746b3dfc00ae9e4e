"""What the engine reports about its failures: since when and why, without data."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from core.home import Home
from core.settings import Settings
from tests.end_to_end.system import free_ports
from warehouse import connections
from warehouse.closable_connections import ClosableConnections
from warehouse.engine import Engine, EngineError, Trouble
from warehouse.errors import Failures
from warehouse.limited_engine import LimitedEngine

SECRET = "a-secret-password"


def engine_at(port: int, folder: Path) -> Engine:
    url = f"http://pharos:{SECRET}@127.0.0.1:{port}/pharos"
    return Engine(Settings(home=folder, clickhouse_url=url), Home(folder))


def failure(engine: Engine) -> Trouble:
    """Return the recorded failure after a failed query."""
    with pytest.raises(EngineError) as caught:
        engine.query("SELECT 1")
    assert caught.value.trouble == engine.trouble
    assert engine.trouble is not None
    for text in (str(caught.value), engine.trouble.message):
        assert SECRET not in text
        assert "127.0.0.1" not in text
    return engine.trouble


class Broken(BaseHTTPRequestHandler):
    """A server that answers 500 to everything."""

    def do_GET(self) -> None:
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b"upstream http://10.0.0.7 is gone")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def broken() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def hung() -> Iterator[int]:
    """A server that accepts connections and never responds."""
    with contextlib.closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The time of the first failure is kept by later ones."""
    (port,) = free_ports(1)
    engine = engine_at(port, tmp_path)
    assert engine.trouble is None
    before = datetime.now(UTC)
    first = failure(engine)
    assert first.message == "does not answer (connection refused)"
    assert before <= first.since <= datetime.now(UTC)
    assert not first.exact
    assert failure(engine) == first


def test_the_message_says_why_there_is_no_answer(tmp_path: Path, broken: int) -> None:
    """A wrong host name, a closed port and a wrong scheme are different faults. No message has the address."""
    (port,) = free_ports(1)
    for url, why in {
        f"http://127.0.0.1:{port}/pharos": "connection refused",
        "http://nosuch.invalid:8123/pharos": "unknown host name",
        f"https://127.0.0.1:{broken}/pharos": "not HTTPS",
    }.items():
        engine = Engine(Settings(home=tmp_path, clickhouse_url=url), Home(tmp_path))
        with pytest.raises(EngineError) as caught:
            engine.query("SELECT 1")
        assert str(caught.value) == f"the ClickHouse server does not answer ({why})"
        assert engine.trouble is not None
        assert engine.trouble.message == f"does not answer ({why})"


def test_a_server_that_closes_the_connection(tmp_path: Path) -> None:
    """As one that expects HTTPS does. The message has no address either."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert failure(engine_at(listening.getsockname()[1], tmp_path)).message == "does not answer (connection closed)"
        listening.shutdown(socket.SHUT_RDWR)


def test_a_server_that_answers_nonsense(tmp_path: Path, broken: int) -> None:
    """The message has the status, and nothing of the response."""
    assert failure(engine_at(broken, tmp_path)).message == "answers with HTTP status 500"


def test_a_server_that_hangs_is_waited_for_once(tmp_path: Path, hung: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first query waits for the full timeout, later ones for less.

    The failure is dated from the question, not from the timeout.
    """
    monkeypatch.setattr(connections, "QUERY_SECONDS", 8)
    monkeypatch.setattr(connections, "PROBE_SECONDS", 1)
    engine = engine_at(hung, tmp_path)
    began = time.monotonic()
    trouble = failure(engine)
    assert trouble.message == "does not answer (timed out)"
    assert time.monotonic() - began > 7.5
    assert datetime.now(UTC) - trouble.since > timedelta(seconds=7.5)
    began = time.monotonic()
    assert failure(engine).since == trouble.since
    assert time.monotonic() - began < 7


def test_a_question_with_a_limit_waits_little_longer_than_that(
    tmp_path: Path, hung: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that works would have ended it. Others still wait for the full timeout, on the same connections."""
    monkeypatch.setattr(connections, "PROBE_SECONDS", 1)
    engine = engine_at(hung, tmp_path)
    began = time.monotonic()
    with pytest.raises(EngineError, match="does not answer"):
        LimitedEngine(engine, 1).query("SELECT 1")
    assert time.monotonic() - began < 30  # and not the minute of a query
    assert engine.trouble is not None
    assert engine.trouble.message == "does not answer (timed out)"


def test_a_connection_that_was_open_is_described_without_its_address(hung: int) -> None:
    """The pools of such a connection have a name of their own, which the error begins with."""
    pools = PoolManager()
    ClosableConnections(pools)
    with pytest.raises(HTTPError) as caught:
        pools.request("GET", f"http://127.0.0.1:{hung}", timeout=0.2, retries=False)
    assert "127.0.0.1" in str(caught.value)
    raised = Failures().failed(OSError(f"Error {caught.value}"), datetime.now(UTC))
    assert str(raised) == "the ClickHouse server does not answer (timed out)"


def test_who_only_asks_whether_it_is_there_waits_no_minute(
    tmp_path: Path, hung: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health checks such as `/readyz` have a short timeout."""
    monkeypatch.setattr(connections, "PROBE_SECONDS", 1)
    engine = engine_at(hung, tmp_path)
    began = time.monotonic()
    with pytest.raises(EngineError):
        engine.version()
    assert time.monotonic() - began < 30  # and not the minute of a query
    assert engine.trouble is not None
