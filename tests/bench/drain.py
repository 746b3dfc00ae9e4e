"""How fast one loader empties a full spool into the embedded engine. Prints beacons per second."""

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from collector.loader import Loader
from collector.planes import Planes
from collector.spool import Spool
from core.home import Home
from core.settings import Settings
from warehouse.engine import Engine
from warehouse.migrate import migrate


def main() -> None:
    """Spool the beacons of standard input, one per line, then load them."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        planes, spool, now = Planes(b"bench"), Spool(home.spool), datetime.now(UTC)
        splits = [planes.split(json.loads(line), "203.0.113.9", now) for line in sys.stdin]
        rows = [split.row() for split in splits]
        for first in range(0, len(rows), 1000):
            spool.store(rows[first : first + 1000], time.time())
        engine = Engine(Settings(home=home.path), home)
        migrate(engine)
        loader = Loader(spool, engine)
        began = time.perf_counter()
        while spool.stats().beacons:
            loader.step()
        print(f"{len(rows) / (time.perf_counter() - began):.0f}")
        engine.close()


if __name__ == "__main__":
    main()
