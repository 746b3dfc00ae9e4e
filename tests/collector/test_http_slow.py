"""Slow and silent clients beside normal ones."""

import contextlib
import socket
import time
from pathlib import Path

from core.http_worker import REQUEST_SECONDS, THREADS
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon

HEAD = f"POST /v1/beacons HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
SLOW = (
    b"",  # connected, and silent
    HEAD.encode()[:40],  # in the middle of its headers
    f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode(),  # in the middle of its body
    f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n".encode(),  # in the middle of a chunk
)


def seconds_for_thirty(collector: Collector) -> float:
    """Return how long thirty beacons take, one after another."""
    began = time.monotonic()
    for _ in range(30):
        assert collector.post(beacon()).status == 202
    return time.monotonic() - began


def test_clients_that_do_not_close_hold_up_nobody(tmp_path: Path) -> None:
    """Clients that keep finished connections open delay no other client. gunicorn alone waits two seconds for each."""
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY) as collector, contextlib.ExitStack() as stack:
        alone = seconds_for_thirty(collector)
        for _ in range(100):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", collector.port)))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert seconds_for_thirty(collector) < 10 + 5 * alone


def test_slow_clients_hold_up_nobody_and_are_ended(tmp_path: Path) -> None:
    """200 slow clients delay no beacon, and their requests end after the time limit."""
    assert THREADS > 200
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY) as collector, contextlib.ExitStack() as stack:
        alone = seconds_for_thirty(collector)
        slow = []
        for number in range(200):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", collector.port)))
            connection.sendall(SLOW[number % len(SLOW)])
            slow.append(connection)
        began = time.monotonic()
        # None of them waited for a slow one to end.
        assert seconds_for_thirty(collector) < REQUEST_SECONDS + 3 * alone
        dribbling = [connection for number, connection in enumerate(slow) if number % len(SLOW) == 2]
        while time.monotonic() - began < REQUEST_SECONDS + 3:
            for connection in dribbling:
                with contextlib.suppress(OSError):  # already ended
                    connection.sendall(b" ")
            time.sleep(0.5)
        for connection in slow[1::2]:
            connection.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(4096)[9:12] in (b"", b"400")
        assert collector.post(beacon()).status == 202
