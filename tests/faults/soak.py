"""`make soak`: an hour of mixed load and faults; memory and descriptors of every process stay flat, nothing is lost.

    python -m tests.faults.soak [--minutes M] [--seed S] [--engine embedded|server]

A process that is killed every minute never gets old enough to show a leak, and one that is never killed shows none of
those that a crash leaves behind. So a fault comes every ten seconds, and who falls changes by quarters:

1. everybody: all that a storm may hit; what fills once fills here, and is not judged
2. and 3. the loader where it is a process, and all collector workers but one; what supervises them gets old
4. all collector workers but one; the loader gets old, too

Stops and continues hit everybody in all quarters. The dashboard's worker, the masters, the supervisor, one collector
worker and ClickHouse live from the second quarter to the end.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.end_to_end.system import AVAILABLE, System, running
from tests.faults.clickhouse import ClickHouse, beside
from tests.faults.clients import Clients
from tests.faults.flat import Sample, courses, sample, table
from tests.faults.readers import Readers
from tests.faults.storm import CLICKHOUSE, EVERYTHING, VICTIMS, Storm, victims
from tests.faults.verdict import verdict

FAULT_SECONDS = 10.0
SAMPLE_SECONDS = 10.0
PAUSE_SECONDS = 0.25  # of each client: some 150 beacons a second in all
# Of each client, always the same: what a query takes grows with the fleet, and would be taken for a leak.
FLEET = 500


class Watch:
    """A thread that samples every process of a system, and the sizes of what lies in its home."""

    def __init__(self, system: System, clickhouse: ClickHouse | None, seconds: float) -> None:
        self.samples: list[Sample] = []
        self.sizes: dict[str, list[int]] = {}  # by name in the home, at the end of each quarter
        self._system, self._clickhouse, self._seconds = system, clickhouse, seconds
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        quarters = 1
        while not self._stop.wait(min(SAMPLE_SECONDS, self._seconds / 100)):
            at = time.monotonic() - self._began
            found = {name: find(self._system) for name, (_, find) in VICTIMS.items() if name != EVERYTHING}
            found[CLICKHOUSE] = [node.pid for node in self._clickhouse.nodes] if self._clickhouse else []
            taken = (sample(at, kind, pid) for kind, pids in found.items() for pid in pids)
            self.samples += [one for one in taken if one]
            if at > self._seconds * quarters / 4:
                quarters += 1
                self.weigh()

    def weigh(self) -> None:
        """Record the current sizes."""
        for path in self._system.home.iterdir():
            self.sizes.setdefault(path.name, []).append(_size(path))


def _size(path: Path) -> int:
    """Return the bytes of a file or folder. Vanished files count 0."""
    try:
        return sum(map(_size, path.iterdir())) if path.is_dir() else path.stat().st_size
    except OSError:
        return 0


def soak(storm: Storm, system: System, clickhouse: ClickHouse | None, rng: random.Random, seconds: float) -> None:
    """Cause faults for `seconds`, by quarter as described above."""
    began = time.monotonic()
    everybody = victims(system, clickhouse)
    weights = [VICTIMS[name][0] for name in everybody]
    old: list[int] = []
    faults = 0
    while (at := time.monotonic() - began) < seconds:
        quarter = int(4 * at / seconds)
        number = rng.choices((signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP), (4, 1, 1))[0]
        if quarter == 0:
            storm.fault(rng.choices(everybody, weights)[0], number)
        elif number is signal.SIGSTOP:
            storm.fault(rng.choice([name for name in everybody if name != EVERYTHING]), number)
        else:
            old = [pid for pid in old if pid in system.workers("collector")] or system.workers("collector")[:1]
            falling = ["collector worker", *(["loader"] if "loader" in everybody and quarter < 3 else [])]
            storm.fault(rng.choice(falling), number, spared=old)
        faults += 1
        time.sleep(max(0.0, began + faults * FAULT_SECONDS - time.monotonic()))


def run(engine: str, seed: int, seconds: float) -> bool:
    """Soak one engine, print the result, and return whether it is good."""
    clickhouse = beside() if engine == "server" else None
    rng = random.Random(f"{seed} {engine}")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home", engine, PHAROS_K="1") as system:
        try:
            with (
                Clients(system, seed, PAUSE_SECONDS, FLEET) as clients,
                Readers(system, seed) as readers,
                Watch(system, clickhouse, seconds) as watch,
            ):
                storm = Storm(system, clients, rng, clickhouse)
                soak(storm, system, clickhouse, rng, seconds)
            watch.weigh()
            found = courses(watch.samples, seconds)
            print(f"{engine}: seed {seed}, {seconds / 60:.0f} minutes, {sum(storm.done.values())} faults")
            for fault, times in sorted(storm.done.items()):
                print(f"  {times:5}  {fault}")
            print(table(found))
            for name, sizes in sorted(watch.sizes.items()):
                if max(sizes) > 1 << 20:
                    print(f"{name + ', MiB':35}{''.join(f'{size / 2**20:9.1f}' for size in sizes)}")
            print(f"posts: {dict(clients.posts)}, other requests: {dict(readers.answers)}", flush=True)
            counted = verdict(system, clients.ledger, clients.wrong + readers.wrong)
            print(counted, flush=True)
        finally:
            if clickhouse is not None:
                clickhouse.end()
    return counted.good and all(one.flat for one in found)


def main() -> int:
    """Soak each engine. The exit status is 1 if anything grew, was lost or was doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="of each engine")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--engine", choices=AVAILABLE, action="append")
    arguments = parser.parse_args()
    good = [run(engine, arguments.seed, arguments.minutes * 60) for engine in arguments.engine or AVAILABLE]
    print("flat, 0 lost, 0 doubled" if all(good) else "NOT FLAT, LOST OR DOUBLED")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
