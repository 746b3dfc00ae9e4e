"""`make faults`: random kills, stops and terminations; 0 lost and 0 doubled, or exit status 1.

    python -m tests.faults [--kills N] [--seed S] [--engine embedded|server]

Embedded; beside a ClickHouse server (CLICKHOUSE_URL, _PID, _BINARY, _CONFIG) on that too, and it is killed as well;
of a cluster (CLICKHOUSE_CLUSTER, _URLS, _PIDS) one replica at a time.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.end_to_end.system import AVAILABLE, running
from tests.faults.clickhouse import beside
from tests.faults.clients import Clients
from tests.faults.storm import Storm
from tests.faults.verdict import verdict


def main() -> int:
    """Run the storm on each engine and print what was done and counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs on each engine")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--engine", choices=AVAILABLE, action="append")
    arguments = parser.parse_args()
    good, kills = True, 0
    for engine in arguments.engine or AVAILABLE:
        seed = f"{arguments.seed} {engine}"
        clickhouse = beside() if engine == "server" else None
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home", engine, PHAROS_K="1") as system:
            try:
                with Clients(system, seed) as clients:
                    storm = Storm(system, clients, random.Random(seed), clickhouse)
                    storm.run(arguments.kills)
                found = verdict(system, clients.ledger, clients.wrong)
            finally:
                if clickhouse is not None:
                    clickhouse.end()
        print(f"{engine}: seed {arguments.seed}, {storm.kills} kills among {sum(storm.done.values())} faults", end="")
        print(f" in {time.monotonic() - began:.0f} s")
        for fault, times in sorted(storm.done.items()):
            print(f"  {times:5}  {fault}")
        print(f"  posts: {', '.join(f'{times} {answer}' for answer, times in sorted(clients.posts.items()))}")
        print(*(f"  {line}" for line in str(found).splitlines()), sep="\n", flush=True)
        kills += storm.kills
        good = good and found.good
    print(f"{kills} kills: {'0 lost, 0 doubled' if good else 'LOST OR DOUBLED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
