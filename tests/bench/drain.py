"""What a beacon costs from the spool into ClickHouse and all aggregates, once a backlog waits.

On the embedded engine, which is part of the loader's process, and on the server at CLICKHOUSE_URL.
"""

import json
import os
import tempfile
import time
from datetime import UTC, datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from collector.loader import Loader
from collector.planes import Planes
from collector.spool import Spool
from core.home import Home
from core.settings import Settings
from tests.bench.ingestion import fresh_bodies
from tests.bench.processes import cpu, most_memory
from tests.end_to_end.system import AVAILABLE, clickhouse_url
from warehouse.engine import Engine
from warehouse.migrate import migrate

BACKLOG = 100_000


def main() -> None:
    """Fill a spool and load it, in a process of its own for each engine."""
    print(f"{'':34}{'per second':>12}{'loader µs':>12}{'server µs':>12}{'most memory':>14}")
    for engine in AVAILABLE:
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder))
            _fill(home)
            loading = get_context("spawn").Process(target=_load, args=(home, clickhouse_url(engine)))
            loading.start()
            loading.join()
            if loading.exitcode:
                raise SystemExit(loading.exitcode)


def _fill(home: Home) -> None:
    planes, spool, now = Planes(b"bench"), Spool(home.spool), datetime.now(UTC)
    bodies = islice(fresh_bodies(), BACKLOG)
    while some := list(islice(bodies, 1000)):
        splits = [planes.split(json.loads(body), "203.0.113.9", now) for body in some]
        spool.store([split.row() for split in splits], time.time())
    spool.close()


def _load(home: Home, url: str) -> None:
    settings = Settings(home=home.path, clickhouse_url=url, secret="a root secret")
    engine, spool = Engine(settings, home), Spool(home.spool)
    try:
        migrate(engine)
        loader = Loader(spool, engine)
        servers = [int(pid) for pid in os.environ["CLICKHOUSE_PID"].split(",")] if url else []
        before, of_servers, began = cpu(os.getpid()), cpu(*servers), time.perf_counter()
        while spool.stats().beacons:
            loader.step()
        took, used = time.perf_counter() - began, cpu(os.getpid()) - before
        server = f"{(cpu(*servers) - of_servers).total / BACKLOG * 1e6:.0f}" if url else ""
        print(
            f"{f'{BACKLOG:,} beacons, ' + ('server' if url else 'embedded'):34}{BACKLOG / took:12,.0f}"
            f"{used.total / BACKLOG * 1e6:12.0f}{server:>12}{most_memory(os.getpid()) / 1e6:11.0f} MB",
            flush=True,
        )
    finally:
        engine.close()


if __name__ == "__main__":
    main()
