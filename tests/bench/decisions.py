"""What decisions of owners cost a beacon: its p99 with a million objections kept, beside its p99 with none.

    python -m tests.bench.decisions [OBJECTIONS]

Meanwhile owners go on deciding, ten times a second. Collectors with and without take turns.
"""

import contextlib
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from collector.rights.decisions import Decisions
from collector.spool import Spool
from core.home import Home
from tests.bench.ingestion import checked, fresh_bodies, posted
from tests.bench.load import run
from tests.bench.processes import Server, serving

OBJECTIONS = 1_000_000
ROUNDS, REQUESTS, CLIENTS = 5, 2000, 4
WANTED = 1.2


def main() -> None:
    """Fill, start both, and print the ratio."""
    objections = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTIONS
    bodies = fresh_bodies()
    p99: dict[int, list[float]] = {0: [], objections: []}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        servers: dict[int, Server] = {}
        for count in p99:
            home = Home(Path(folder, str(count)))
            began = time.perf_counter()
            _fill(home, count)
            print(
                f"{count:,} objections kept: {home.spool.stat().st_size >> 20} MiB, {time.perf_counter() - began:.0f} s"
            )
            servers[count] = stack.enter_context(serving("pharos", "collector", home=home.path))
            stack.enter_context(_deciding(home))
        for _ in range(ROUNDS):
            for count, server in servers.items():
                requests = [posted(islice(bodies, 1)) for _ in range(REQUESTS)]
                p99[count].append(checked(run(server.port, requests, clients=CLIENTS)).p99)
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
