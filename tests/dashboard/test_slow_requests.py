"""The dashboard process with slow clients and large bodies. ClickHouse is unavailable."""

import contextlib
import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.http_worker import REQUEST_SECONDS, THREADS
from tests.end_to_end.system import free_ports, wait_for
from tests.pharos_cli.command import PHAROS, environment

SLOW = (
    b"",  # connected, and silent
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Le",  # in the middle of its headers
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nn",
    b"POST /_dash-update-component HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
)


class Dashboard:
    """`pharos dashboard` on its own port."""

    def __init__(self, home: Path) -> None:
        self.port, nobody = free_ports(2)
        settings = {
            "PHAROS_DASHBOARD_BIND": f"127.0.0.1:{self.port}",
            "PHAROS_CLICKHOUSE_URL": f"http://u:p@127.0.0.1:{nobody}/pharos",
        }
        self.log = home.with_suffix(".log")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*PHAROS, "dashboard"], env=environment(home, settings), stdout=log, stderr=log
            )

    def get(self, path: str) -> int:
        """Return the status of a response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def answers(self) -> bool:
        """Return whether the dashboard responds."""
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self.get("/healthz") == 200
        except OSError:
            return False

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def peak_memory(self) -> int:
        """Return the peak memory of the worker in bytes."""
        master = self._process.pid
        (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        (line,) = [line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if "VmHWM" in line]
        return int(line.split()[1]) << 10

    def stop(self) -> None:
        """Stop it with SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    running = Dashboard(tmp_path_factory.mktemp("dashboard") / "home")
    try:
        wait_for(running.answers, "the dashboard", 60)
        yield running
    finally:
        running.stop()


def test_half_sent_requests_hold_up_nobody_and_are_ended(dashboard: Dashboard) -> None:
    """200 incomplete requests delay no page and end after the time limit. Eight used to block all threads forever."""
    assert THREADS > 200
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(dashboard.connect()) for _ in range(200)]
        for number, connection in enumerate(slow):
            connection.sendall(SLOW[number % len(SLOW)])
        began = time.monotonic()
        for path in ("/healthz", "/login", "/healthz", "/login"):
            assert dashboard.get(path) == 200
        assert time.monotonic() - began < REQUEST_SECONDS
        for connection in slow[1::2]:
            # Ended by the server: with an answer that says so, or without one.
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(4096)[9:12] in (b"", b"400", b"401", b"413")
    assert dashboard.get("/healthz") == 200


def test_a_large_body_takes_no_memory(dashboard: Dashboard) -> None:
    """A large body without a login is refused before it is read. 60 MB of JSON used to take 2 GB."""
    before = dashboard.peak_memory()
    head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 62914560\r\n\r\n"
    with dashboard.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(head)
        for _ in range(60):
            connection.sendall(b"[[[[[[[[" * (1 << 17))
    assert dashboard.get("/healthz") == 200
    assert dashboard.peak_memory() - before < 64 << 20
