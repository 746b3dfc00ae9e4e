"""The whole system while ClickHouse is unavailable: beacons are accepted, and loaded later."""

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from core.home import Home
from core.settings import Settings
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import System, clickhouse_url, fetch, running_at, wait_for
from tests.faults.verdict import ledger, planes_of, verdict
from warehouse.engine import Engine

MEGABYTE = 1 << 20


class Proxy:
    """A proxy between Pharos and ClickHouse that fails as `mode` says."""

    def __init__(self, host: str = "127.0.0.1", port: int = 9) -> None:
        self.mode = "pass"
        self.seen = 0  # connections that were broken in the mode of now
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def become(self, mode: str) -> None:
        self.mode, self.seen = mode, 0

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            upstream = None
            while data := connection.recv(MEGABYTE):
                mode = self.mode
                self.seen += mode != "pass"
                if mode == "refused":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if mode == "hung":
                    while self.mode == "hung":
                        time.sleep(0.05)
                    return
                if mode == "error":
                    connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nfail")
                    return
                if upstream is None:
                    upstream = stack.enter_context(socket.create_connection(self._to, timeout=60))
                    threading.Thread(target=self._back, args=(upstream, connection), daemon=True).start()
                upstream.sendall(data)

    def _back(self, upstream: socket.socket, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while answer := upstream.recv(MEGABYTE):
                if self.mode == "lost":  # ClickHouse has done it, and nobody gets to know
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


def post(system: System, requests: int) -> list[dict[str, Any]]:
    """Post accepted batches of 10; return their beacons."""
    posted: list[dict[str, Any]] = []
    for _ in range(requests):
        batch = [beacon() for _ in range(10)]
        status, answer = system.post(batch)
        assert (status, answer["accepted"]) == (202, 10)
        posted += batch
    return posted


def memory(system: System) -> int:
    """Return the memory of the collector's workers in bytes."""
    sizes = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in system.workers("collector")]
    return sum(int(pages) for pages in sizes) * os.sysconf("SC_PAGE_SIZE")


def readiness(system: System) -> Any:
    status, answer = fetch(f"{system.collector}/readyz")
    assert status == 200
    return answer


@pytest.mark.parametrize("mode", ["refused", "hung", "error"])
def test_beacons_are_taken_without_clickhouse(proxy: Proxy, mode: str, tmp_path: Path) -> None:
    """Without ClickHouse since the start, beacons get a 202, memory stays flat, and SIGTERM stops cleanly."""
    proxy.become(mode)
    began = int(time.time())
    with running_at(f"http://127.0.0.1:{proxy.port}/pharos", tmp_path / "home", figures="/healthz") as system:
        post(system, 20)
        before = memory(system)
        posted = 200 + len(post(system, 200))
        assert memory(system) - before < 8 * MEGABYTE
        assert readiness(system)["waiting"] == posted
        wait_for(lambda: proxy.seen, "somebody to ask ClickHouse")
        if mode != "hung":  # which is given up only after a minute
            wait_for(lambda: "loading" in readiness(system), "the trouble to be told")
            told = readiness(system)["loading"]
            assert began <= datetime.fromisoformat(told["since"]).timestamp() <= time.time()
            assert told["why"]
            assert fetch(f"{system.dashboard}/readyz")[0] == 503
        assert system.stop() == 0


@pytest.mark.server
def test_what_broke_on_the_way_to_a_server_is_made_up_for(tmp_path: Path) -> None:
    """After refused connections, 500s, lost responses and a wrong schema, each beacon counts once."""
    url = urlsplit(clickhouse_url("server"))
    proxy = Proxy(str(url.hostname), int(url.port or 8123))
    through = urlunsplit(url._replace(netloc=f"default@127.0.0.1:{proxy.port}"))
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "")
    with running_at(through, tmp_path / "home", PHAROS_K="1", PHAROS_CLICKHOUSE_CLUSTER=cluster) as system:
        posted = post(system, 10)
        system.drain()
        for mode in ("refused", "error", "lost"):
            proxy.become(mode)
            posted += post(system, 20)
            wait_for(lambda: "loading" in readiness(system), f"the trouble ({mode}) to be told", 60)
            proxy.become("pass")
            system.drain()
            wait_for(lambda: "loading" not in readiness(system), "the trouble to be over", 60)
        posted += _with_a_column_missing(system, urlunsplit(url), cluster)
        assert system.run("quarantine", "list").stdout == b""
        found = verdict(system, ledger(planes_of(system), posted))
        assert found.good, str(found)
    proxy.close()


def _with_a_column_missing(system: System, url: str, cluster: str) -> list[dict[str, Any]]:
    """Drop a column, post beacons, restore the column; return the beacons."""
    home = Home(system.home)
    engine = Engine(Settings(home=home.path, clickhouse_url=url), home)
    table = f"usage_beacons_local ON CLUSTER {cluster}" if cluster else "usage_beacons"
    engine.command(f"ALTER TABLE {table} DROP COLUMN sapi")
    posted = post(system, 20)
    wait_for(lambda: "usage_beacons" in readiness(system).get("loading", {}).get("why", ""), "the wrong table", 60)
    assert readiness(system)["waiting"] == len(posted)
    engine.command(f"ALTER TABLE {table} ADD COLUMN sapi LowCardinality(String) AFTER web_server")
    engine.close()
    system.drain()
    return posted
