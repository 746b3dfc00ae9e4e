"""What decisions of owners cost a beacon: its p99 with a million objections kept, beside its p99 with none.

    python -m tests.bench.decisions [OBJECTIONS]

Meanwhile owners go on deciding, ten times a second. Collectors with and without take turns.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from collector.rights.decisions import Decisions
from collector.spool import Spool
from core.home import Home
from tests.bench.__main__ import _bodies, _post
from tests.bench.load import run
from tests.end_to_end.system import fetch, free_ports, wait_for

OBJECTIONS = 1_000_000
ROUNDS, REQUESTS, CLIENTS = 5, 2000, 4
WANTED = 1.2


def main() -> None:
    """Fill, start both, and print the ratio."""
    objections = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTIONS
    bodies = iter(_bodies(2 * ROUNDS * REQUESTS))
    p99: dict[int, list[float]] = {0: [], objections: []}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ports = {}
        for count in p99:
            home = Home(Path(folder, str(count)))
            began = time.perf_counter()
            _fill(home, count)
            print(
                f"{count:,} objections kept: {home.spool.stat().st_size >> 20} MiB, {time.perf_counter() - began:.0f} s"
            )
            ports[count] = stack.enter_context(_collector(home))
            stack.enter_context(_deciding(home))
        for _ in range(ROUNDS):
            for count, port in ports.items():
                load = run(port, [_post(next(bodies)) for _ in range(REQUESTS)], clients=CLIENTS)
                assert set(load.statuses) == {202}, load.statuses
                p99[count].append(load.p99)
    for count, times in p99.items():
        print(f"{f'p99 of a beacon, {count:,} objections kept, ms':60}{statistics.median(times):8.1f}")
    ratio = statistics.median(many / none for none, many in zip(*p99.values(), strict=True))
    print(f"ratio: {ratio:.2f}{'' if ratio <= WANTED else f'  above {WANTED}'}")


def _fill(home: Home, count: int) -> None:
    spool = Spool(home.spool)
    with spool.transaction():
        spool.db.execute("UPDATE decisions SET version = ?", (count,))
        spool.db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT OR IGNORE INTO "
            "install_states SELECT random() & 0x7fffffffffffffff, 0, -9e999, 1, 0, i, i, 1 FROM n WHERE i <= ?",
            (count, count),
        )
    spool.close()


@contextlib.contextmanager
def _collector(home: Home) -> Iterator[int]:
    (port,) = free_ports(1)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PHAROS_")}
    environ |= {"PHAROS_HOME": str(home.path), "PHAROS_INGEST_KEY": "bench-key"}
    environ |= {"PHAROS_COLLECTOR_BIND": f"127.0.0.1:{port}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pharos", "collector"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _answers(port), "the collector", 120)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return fetch(f"http://127.0.0.1:{port}/healthz")[0] == 200
    return False


@contextlib.contextmanager
def _deciding(home: Home) -> Iterator[None]:
    """Send ten objections per second."""
    stop = threading.Event()

    def decide() -> None:
        spool = Spool(home.spool)
        while not stop.wait(0.1):
            with spool.transaction():
                Decisions(spool).decide(int.from_bytes(os.urandom(8)) >> 1, "object", time.time())
        spool.close()

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
