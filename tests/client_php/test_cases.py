"""One set of cases for all clients: a situation, what is on the wire, and what waits afterwards."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from client_sdk.python.pharos_client import Client
from collector.validate import validate
from tests.client_php.paper import DAY, KEY, Collector, Host
from tests.client_php.test_counting import uses

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "cases" / "client.json").read_text())
SHELL = Path(__file__).parents[2] / "client_sdk" / "shell" / "pharos.sh"


class Driver(Protocol):
    """A client that a case drives. Each call is a process or as good as one; `shift` moves its clock."""

    shift: int

    def count(self, counts: dict[str, int]) -> None: ...
    def tick(self) -> str: ...
    def choose(self, level: str) -> None: ...
    def waiting(self) -> list[dict[str, int]]: ...


class Php:
    def __init__(self, folder: Path, collector: Collector) -> None:
        self.host = Host(collector.url, folder)
        self.shift = 0

    def _run(self, code: str) -> Any:
        self.host.shift = self.shift
        return self.host.run(f"echo json_encode({code});")

    def count(self, counts: dict[str, int]) -> None:
        self._run("[" + ",".join(f"$client->count({name!r}, {uses})" for name, uses in counts.items()) + "]")

    def tick(self) -> str:
        return str(self._run("$client->tick()->status()"))

    def choose(self, level: str) -> None:
        assert self._run(f"$client->choose({level!r})")

    def waiting(self) -> list[dict[str, int]]:
        return [each["beacon"].get("features", {}) for each in self.host.kept()["queue"]]


class Python:
    def __init__(self, folder: Path, collector: Collector) -> None:
        self.folder, self.url, self.shift = folder, collector.url, 0

    def client(self, version: str = "1.0.0") -> Client:
        client = Client(
            "invoice_pro", version=version, collector=self.url, key=KEY, state=self.folder / "state", consent="full"
        )
        client.now = lambda: time.time() + self.shift
        return client

    def count(self, counts: dict[str, int]) -> None:
        client = self.client()
        for name, number in counts.items():
            assert client.count(name, number)
        client.flush()

    def tick(self) -> str:
        return self.client().tick().status

    def choose(self, level: str) -> None:
        assert self.client().choose(level)

    def waiting(self) -> list[dict[str, int]]:
        state = json.loads((self.folder / "state" / "state.json").read_text())
        return [each.get("features", {}) for each in state["queue"]]


class Shell:
    def __init__(self, folder: Path, collector: Collector) -> None:
        self.folder, self.url, self.shift = folder, collector.url, 0
        self.choose("full")

    def _run(self, *arguments: str) -> str:
        environ = {
            "TELEMETRY_COLLECTOR": self.url, "TELEMETRY_KEY": KEY, "TELEMETRY_MODULE": "invoice_pro",
            "TELEMETRY_VERSION": "1.0.0", "TELEMETRY_STATE": str(self.folder / "state"),
            "TELEMETRY_NOW": str(int(time.time()) + self.shift),
        }  # fmt: skip
        done = subprocess.run(
            ["sh", str(SHELL), *arguments], env={**os.environ, **environ}, capture_output=True, text=True
        )
        assert done.stderr == ""
        return done.stdout.strip()

    def count(self, counts: dict[str, int]) -> None:
        for name, number in counts.items():
            self._run("count", name, str(number))

    def tick(self) -> str:
        return self._run("tick")

    def choose(self, level: str) -> None:
        self._run("choose", level)

    def waiting(self) -> list[dict[str, int]]:
        files = sorted(path for name in ("flight", "queue") for path in (self.folder / "state" / name).glob("*"))
        lines = [[line.split() for line in path.read_text().splitlines()[1:]] for path in files]
        return [{name: int(number) for name, number in each} for each in lines]


CLIENTS: dict[str, Callable[[Path, Collector], Driver]] = {"php": Php, "python": Python, "shell": Shell}


@pytest.mark.parametrize("language", CLIENTS)
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_clients_agree(case: dict[str, Any], language: str, collector: Collector, tmp_path: Path) -> None:
    """Each client sends the same beacons in the same requests, keeps the same, and the collector accepts them all."""
    client = CLIENTS[language](tmp_path, collector)
    for step in case["steps"]:
        play(client, collector, step)
    start = time.time() + (midday() if {"noon": True} in case["steps"] else 0)
    expected = case["wire"]
    assert len(collector.requests) == len(expected)
    previous = ""
    for request, beacons in zip(collector.requests, expected, strict=True):
        assert request.path == "/v1/beacons"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["content-type"] == "application/json"
        if beacons == "again":
            assert request.body == previous
        else:
            assert [told(beacon) for beacon in request.beacons] == [wanted(beacon, start) for beacon in beacons]
        for beacon in request.beacons:
            assert validate(beacon)
        previous = request.body
    assert client.waiting() == case["waiting"]


def play(client: Driver, collector: Collector, step: dict[str, Any]) -> None:
    if "count" in step:
        client.count(step["count"])
    elif "tick" in step:
        assert client.tick() == step["tick"]
    elif "choose" in step:
        client.choose(step["choose"])
    elif "sleep" in step:
        client.shift += step["sleep"]
    elif "noon" in step:
        client.shift += midday()
    elif "always" in step:
        collector.always = (step["always"], "", {}) if step["always"] else None
    else:
        body = step.get("body", "")
        text = body if isinstance(body, str) else json.dumps(body)
        collector.answers.append((step["answer"], text, step.get("headers", {})))


def midday() -> int:
    return DAY - int(time.time()) % DAY + DAY // 2


def told(beacon: dict[str, Any]) -> dict[str, Any]:
    return {
        "reason": beacon["reason"], "features": beacon.get("features", {}), "level": beacon["consent"]["level"],
        "day": beacon["sent_at"][:10],
    }  # fmt: skip


def wanted(beacon: dict[str, Any], start: float) -> dict[str, Any]:
    if "day" not in beacon:
        return {"features": {}, "level": "full", **beacon, "day": AnyDay()}
    day = datetime.datetime.fromtimestamp(start + beacon["day"] * DAY, datetime.UTC).date().isoformat()
    return {"features": {}, "level": "full", **beacon, "day": day}


class AnyDay:
    """Equal to every day."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize("language", ["php", "shell"])
def test_what_one_beacon_cannot_hold_comes_with_the_next(language: str, collector: Collector, tmp_path: Path) -> None:
    """A beacon has at most 200 features, and the 201st is not lost."""
    client = CLIENTS[language](tmp_path, collector)
    client.tick()
    client.count({f"f{number}": 1 for number in range(100)})
    client.count({f"g{number}": 1 for number in range(101)})
    for _ in range(3):
        client.shift += DAY
        client.tick()
    sizes = [len(beacon.get("features", {})) for beacon in collector.beacons]
    assert max(sizes) == 200
    assert sum(sizes) == 201


def test_python_s_fifty_processes_lose_nothing(collector: Collector, tmp_path: Path) -> None:
    """50 processes × 1,000 counts of the Python client, with ticks beside, are exactly 50,000."""
    client = Python(tmp_path, collector)
    client.tick()
    code = (
        "from client_sdk.python.pharos_client import Client\nimport time\n"
        f"state = {str(tmp_path / 'state')!r}\n"
        f"c = Client('invoice_pro', version='1', collector={collector.url!r}, key='k', state=state)\n"
        "for n in range(1000):\n    c.count('export')\n    if n % 250 == 249: c.flush(); time.sleep(.02)\n"
    )
    script = tmp_path / "worker.py"
    script.write_text(code)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    workers = [subprocess.Popen([sys.executable, str(script)], env=env) for _ in range(50)]
    turn = 0
    while any(worker.poll() is None for worker in workers):
        turn += 1
        client.client(f"1.0.{turn}").tick()
    assert {worker.wait() for worker in workers} == {0}
    assert turn > 1
    for _ in range(10):  # a busy machine may have opened the breaker
        client.shift += 14400
        client.client("2.0.0").tick()
    assert uses(collector) == 50_000


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "dripping"])
def test_python_is_not_held(collector: Collector, tmp_path: Path, drip: bool) -> None:
    """A collector that never finishes its answer holds the Python client for three seconds at most."""
    collector.hold, collector.drip = (0, True) if drip else (60, False)
    started = time.monotonic()
    result = Python(tmp_path, collector).client().tick()
    assert (result.status, result.reason) == ("failed", "timeout")
    assert time.monotonic() - started < 20  # three in quiet
