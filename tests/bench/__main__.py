"""`make bench`: the collector's throughput, compared with the floor of the same run."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pharos.synthetic_fleet import beacons
from tests.bench import load
from tests.end_to_end.system import free_ports

ROUNDS = 3
SINGLES = 4000
BATCHES = 300
PER_BATCH = 100
SLOW = 200
CALM = 1000
BACKLOG = 100_000
KEY = "bench-key"


def main() -> None:
    """Run all and print a table of ratios."""
    singles, batches = _singles(), _batches()
    calm = _calm()
    floors, ours, rates = [], [], []
    alone, beside = [], []
    for number in range(ROUNDS):
        # Floor and collector take turns: what else the machine does then falls on both.
        with _server(["-m", "tests.bench.floor"], port := free_ports(1)[0], [str(port)]):
            floors.append(_checked(load.run(port, singles[number])))
        with _server(["-m", "pharos"], port := free_ports(1)[0], ["collector"]):
            ours.append(_checked(load.run(port, singles[number])))
            rates.append(_checked(load.run(port, batches[number], clients=4)))
            for _ in range(ROUNDS):
                alone.append(_checked(load.run(port, next(calm), clients=4)))
                with load.slow(port, SLOW, KEY):
                    beside.append(_checked(load.run(port, next(calm), clients=4)))
    print(f"{'':44}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}")
    for name, loads in (("no-op Flask, 32 clients", floors), ("POST /v1/beacons, 1 KB, 32 clients", ours)):
        middle = sorted(loads, key=lambda one: one.rate)[ROUNDS // 2]
        print(f"{name:44}{middle.rate:12,.0f}{middle.p50:10.1f}{middle.p99:10.1f}")
    ratios = [one.rate / floor.rate for one, floor in zip(ours, floors, strict=True)]
    print(f"ratio to the no-op: {statistics.median(ratios):.2f} (rounds: {', '.join(f'{r:.2f}' for r in ratios)})")
    batched = statistics.median(one.rate for one in rates) * PER_BATCH
    print(f"{f'beacons in batches of {PER_BATCH}, 4 clients':44}{batched:12,.0f}")
    per_floor = batched / statistics.median(floor.rate for floor in floors)
    print(f"ratio to the no-op's requests: {per_floor:.1f} beacons a request")
    for name, loads in (("4 clients alone", alone), (f"4 clients beside {SLOW} slow sockets", beside)):
        middle = sorted(loads, key=lambda one: one.p99)[len(loads) // 2]
        print(f"{name:44}{middle.rate:12,.0f}{middle.p50:10.1f}{middle.p99:10.1f}")
    slowed = [one.p99 / other.p99 for one, other in zip(beside, alone, strict=True)]
    print(f"p99 beside to alone: {statistics.median(slowed):.2f} (rounds: {', '.join(f'{r:.2f}' for r in slowed)})")

    drained = _drained()
    print(f"{'a backlog is loaded at, beacons':44}{drained:12,.0f}")
    single = statistics.median(one.rate for one in ours)
    print(f"ratio to single posts as they come in: {drained / single:.0f}")


def _drained() -> float:
    """Return the beacons per second that one loader inserts into the embedded engine."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.drain"], input=b"\n".join(_bodies(BACKLOG)), capture_output=True, check=True
    )
    return float(done.stdout)


def _checked(one: load.Load) -> load.Load:
    if set(one.statuses) != {202}:
        raise SystemExit(f"not all were accepted: {one.statuses}")
    return one


def _singles() -> list[list[bytes]]:
    bodies = iter(_bodies(ROUNDS * SINGLES))
    return [[_post(next(bodies)) for _ in range(SINGLES)] for _ in range(ROUNDS)]


def _calm() -> Iterator[list[bytes]]:
    """Return loads for the rounds with and without slow connections, in turns. Each beacon is new."""
    bodies = iter(_bodies(2 * ROUNDS * ROUNDS * CALM))
    return ([_post(next(bodies)) for _ in range(CALM)] for _ in range(2 * ROUNDS * ROUNDS))


def _batches() -> list[list[bytes]]:
    bodies = iter(_bodies(ROUNDS * BATCHES * PER_BATCH))

    def batch() -> bytes:
        return _post(b"[" + b",".join(next(bodies) for _ in range(PER_BATCH)) + b"]")

    return [[batch() for _ in range(BATCHES)] for _ in range(ROUNDS)]


def _post(body: bytes) -> bytes:
    return load.request(
        "POST", "/v1/beacons", body, {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    )


def _bodies(count: int) -> list[bytes]:
    """Return complete beacons of the fleet, about 1 KB each, with new ids."""
    full = [b for b in beacons(1, 200, 3, datetime.now(UTC).date()) if len(json.dumps(b)) > 700]
    return [json.dumps({**full[i % len(full)], "beacon_id": str(uuid.uuid4())}).encode() for i in range(count)]


@contextmanager
def _server(module: list[str], port: int, arguments: list[str]) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PHAROS_")}
        environ |= {"PHAROS_HOME": folder, "PHAROS_INGEST_KEY": KEY, "PHAROS_COLLECTOR_BIND": f"127.0.0.1:{port}"}
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *module, *arguments], env=environ, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            _wait(port)
            yield
        finally:
            process.terminate()
            process.wait(30)


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()
