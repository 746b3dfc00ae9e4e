"""What a beacon costs the collector, beside a route that does nothing, which is the floor of the same run.

Beside that a route that appends each body to a file. Rates and CPU times are of one beacon, and the CPU time is that
of the server, not of its clients.
"""

import json
import statistics
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from pharos.synthetic_fleet import beacons
from tests.bench import load
from tests.bench.processes import KEY, Cpu, Server, cpu, most_memory, serving, tree

ROUNDS = 3
SINGLES, CALM = 4000, 1000
BATCHES, PER_BATCH = 300, 100
MANY, FEW, SLOW = 32, 4, 200
FLOOR = f"Flask that does nothing, {MANY} clients"
APPEND = f"Flask that appends and flushes, {MANY} clients"
SINGLE = f"Pharos, a beacon of 1 KB a request, {MANY} clients"
SINGLE_MORE = f"the same, {8 * MANY} clients"
BATCHED = f"Pharos, {PER_BATCH} beacons a request, {FEW} clients"


@dataclass(frozen=True)
class Run:
    """A load of so many beacons, and what it cost the server."""

    load: load.Load
    cpu: Cpu
    beacons: int

    @property
    def each(self) -> float:
        """The CPU time of a beacon in µs."""
        return self.cpu.total / self.beacons * 1e6


def main() -> None:
    """Run all and print what was measured."""
    bodies = fresh_bodies()
    runs: dict[str, list[Run]] = {}
    alone, beside, memory = [], [], []

    def measure(name: str, server: Server, clients: int, requests: int = SINGLES, per_request: int = 1) -> None:
        messages = [posted(islice(bodies, per_request)) for _ in range(requests)]
        before = cpu(server.pid)
        one = checked(load.run(server.port, messages, clients))
        runs.setdefault(name, []).append(Run(one, cpu(server.pid) - before, requests * per_request))

    def calm(server: Server) -> load.Load:
        return checked(load.run(server.port, [posted(islice(bodies, 1)) for _ in range(CALM)], FEW))

    for _ in range(ROUNDS):
        # They take turns: what else the machine does then falls on all.
        for name, peer in ((FLOOR, "nothing"), (APPEND, "append")):
            with serving("tests.bench.peers", peer) as server:
                measure(name, server, MANY)
        with serving("pharos", "collector") as server:
            measure(SINGLE, server, MANY)
            measure(SINGLE_MORE, server, 8 * MANY)
            measure(BATCHED, server, FEW, BATCHES, PER_BATCH)
            for _ in range(ROUNDS):
                alone.append(calm(server))
                with load.slow(server.port, SLOW, KEY):
                    beside.append(calm(server))
            memory += [most_memory(worker) for worker in tree(server.pid)[1:]]
    print(table(runs), end="")
    _compare(runs)
    print(f"the most memory of a worker: {max(memory) / 1e6:.0f} MB")
    print(f"{'':48}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for name, loads in ((f"{FEW} clients alone", alone), (f"{FEW} clients beside {SLOW} slow sockets", beside)):
        middle = sorted(loads, key=lambda one: one.p99)[len(loads) // 2]
        print(f"{name:48}{middle.rate:12,.0f}{middle.p50:9.1f}{middle.p99:9.1f}")
    slowed = [one.p99 / other.p99 for one, other in zip(beside, alone, strict=True)]
    print(f"p99 beside to alone: {statistics.median(slowed):.2f} (rounds: {', '.join(f'{r:.2f}' for r in slowed)})")


def table(runs: dict[str, list[Run]]) -> str:
    """Return a line for each kind of load: its round of median CPU time, and the CPU time of all rounds."""
    columns = f"{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'user + system':>15}   CPU µs of each round"
    lines = [f"{'':48}{columns}"]
    for name, rounds in runs.items():
        one = sorted(rounds, key=lambda one: one.each)[len(rounds) // 2]
        rate = one.load.rate * one.beacons / sum(one.load.statuses.values())
        every = ", ".join(f"{each.each:.0f}" for each in rounds)
        lines.append(
            f"{name:48}{rate:12,.0f}{one.load.p50:9.1f}{one.load.p99:9.1f}{one.each:9.0f}"
            f"{one.cpu.each(one.beacons):>15}   {every}"
        )
    return "\n".join(lines) + "\n"


def _compare(runs: dict[str, list[Run]]) -> None:
    pairs = list(zip(runs[SINGLE], runs[FLOOR], strict=True))
    print(f"a beacon above the floor: {statistics.median(one.each - floor.each for one, floor in pairs):.0f} µs of CPU")
    print(f"its rate to the floor's: {statistics.median(one.load.rate / floor.load.rate for one, floor in pairs):.2f}")
    pairs = list(zip(runs[SINGLE_MORE], runs[SINGLE], strict=True))
    slower = statistics.median(more.load.p99 / one.load.p99 for more, one in pairs)
    print(f"p99 of {8 * MANY} clients to that of {MANY}: {slower:.2f}")


def checked(one: load.Load, status: int = 202) -> load.Load:
    """Return a load whose requests all had this status."""
    if set(one.statuses) != {status}:
        raise SystemExit(f"not all were accepted: {one.statuses}")
    return one


def posted(bodies: Iterator[bytes]) -> bytes:
    """Return a request that posts one beacon, or a batch."""
    first, *more = bodies
    body = b"[" + b",".join([first, *more]) + b"]" if more else first
    return load.request(
        "POST", "/v1/beacons", body, {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    )


def fresh_bodies() -> Iterator[bytes]:
    """Yield complete beacons of the fleet, about 1 KB each, with new ids."""
    full = [b for b in beacons(1, 200, 3, datetime.now(UTC).date()) if len(json.dumps(b)) > 700]
    while True:
        for one in full:
            yield json.dumps({**one, "beacon_id": str(uuid.uuid4())}).encode()


if __name__ == "__main__":
    main()
