"""How long `pharos serve` takes from nothing to ready, and what each of its processes takes then.

On the embedded engine, and on the server at CLICKHOUSE_URL. The first start makes the home and the database.
"""

import tempfile
import time
from pathlib import Path

from tests.bench.processes import most_memory
from tests.end_to_end.system import AVAILABLE, System, clickhouse_url


def main() -> None:
    """Start twice on each engine."""
    for engine in AVAILABLE:
        with tempfile.TemporaryDirectory() as folder:
            system = System(Path(folder, "home"), clickhouse_url(engine))
            for start in ("first", "second"):
                began = time.perf_counter()
                system.start()
                print(f"{engine}, {start} start: {time.perf_counter() - began:.1f} s", flush=True)
                if start == "second":
                    for pid, command in sorted(system.processes().items()):
                        print(f"    {most_memory(pid) / 1e6:4.0f} MB  pharos {command.split(' pharos ')[-1].strip()}")
                system.stop()


if __name__ == "__main__":
    main()
