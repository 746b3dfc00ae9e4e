"""`make faults`: random kills, stops and terminations; 0 lost and 0 doubled, or exit status 1.

    python -m tests.faults [--faults N] [--seed S]

Embedded; beside a ClickHouse server (CLICKHOUSE_URL, _PID, _BINARY, _CONFIG) on that too, and it is killed as well.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.end_to_end.system import ENGINES, running
from tests.faults.clients import Clients
from tests.faults.storm import ClickHouse, storm, verdict


def main() -> int:
    """Run the storm on each engine and print what was done and counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=500, help="faults on each engine")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--engine", choices=ENGINES, action="append")
    arguments = parser.parse_args()
    good = True
    for engine in arguments.engine or ENGINES:
        rng = random.Random(f"{arguments.seed} {engine}")
        clickhouse = ClickHouse() if engine == "server" and "CLICKHOUSE_PID" in os.environ else None
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home", engine, PHAROS_K="1") as system:
            try:
                with Clients(system) as clients:
                    done = storm(system, clients, rng, arguments.faults, clickhouse)
                found = verdict(system, clients.answered)
            finally:
                if clickhouse is not None:
                    clickhouse.end()
        print(f"{engine}: seed {arguments.seed}, {sum(done.values())} faults in {time.monotonic() - began:.0f} s")
        for fault, times in sorted(done.items()):
            print(f"  {times:5}  {fault}")
        print(f"  answered 202: {found.answered}, counted: {found.installs}, sum of uses: {found.uses},")
        print(f"  posts that had to be repeated: {clients.unanswered}")
        print(f"  {found.recount or 'the aggregates equal a recount of their rows'}", flush=True)
        good = good and found.good
    print("0 lost, 0 doubled" if good else "LOST OR DOUBLED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
