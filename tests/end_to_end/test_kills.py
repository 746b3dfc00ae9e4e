"""What was answered 202 is counted once, whatever is killed while beacons come in."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, System, running, wait_for

CLIENTS = 6


class Clients:
    """Clients that post as SDKs do: the same beacon again until it is answered 202."""

    def __init__(self, system: System) -> None:
        self.answered = 0
        self.unanswered = 0
        self._system = system
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def wait_for_more(self) -> None:
        """Return once beacons have come in from here on."""
        enough = self.answered + 50
        wait_for(lambda: self.answered > enough, "beacons to come in", 60)

    def _run(self) -> None:
        while not self._stop.is_set():
            batch = [beacon() for _ in range(5)]
            while not self._post(batch):
                with self._lock:
                    self.unanswered += 1
                time.sleep(0.05)
            with self._lock:
                self.answered += len(batch)

    def _post(self, batch: list[dict[str, Any]]) -> bool:
        with suppress(OSError, ValueError, HTTPException):
            return self._system.post(batch)[0] == 202
        return False


@pytest.fixture(params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    with running(tmp_path / "home", request.param, PHAROS_K="1") as system:
        yield system


def owners_of_the_engine(system: System) -> list[int]:
    """The process that inserts: embedded the dashboard's worker, else the loader."""
    if system.environ["PHAROS_CLICKHOUSE_URL"]:
        return [pid for pid, line in system.processes().items() if "pharos load" in line]
    return system.workers("dashboard")


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def check(system: System, posted: int) -> None:
    """Every beacon is in the figures once, by installs and by sums, and the aggregates equal a recount of the rows."""
    system.drain()
    wait_for(lambda: system.answers(system.dashboard), "the dashboard")
    assert [row["value"] for row in system.rows("installs", grain="period")] == [posted]
    assert [row["value"] for row in system.rows("feature_uses", grain="period", by="none")] == [posted]
    assert system.stop() == 0
    recount = system.run("recount")
    assert recount.returncode == 0, recount.stdout


@pytest.mark.parametrize("victims", [lambda system: system.workers("collector")[:1], owners_of_the_engine],
                         ids=["collector worker", "owner of the engine"])  # fmt: skip
def test_a_part_that_is_killed_comes_back_and_loses_nothing(
    system: System, victims: Callable[[System], list[int]]
) -> None:
    """SIGKILL of a collector worker or of the process that owns the engine: answered = counted, each once."""
    with Clients(system) as clients:
        for _ in range(4):
            clients.wait_for_more()
            wait_for(lambda: victims(system), "the victim to live", 60)
            kill(victims(system))
    assert clients.answered > 200
    check(system, clients.answered)


def test_all_killed_at_once_lose_nothing(system: System) -> None:
    """SIGKILL of every process at one moment, twice, then a start: answered = counted, each once."""
    with Clients(system) as clients:
        for _ in range(2):
            clients.wait_for_more()
            kill(list(system.processes()))
            wait_for(lambda: not system.processes(), "all to be gone")
            assert system.process is not None
            system.process.wait(10)
            system.start()
    assert clients.unanswered > 0
    check(system, clients.answered)
