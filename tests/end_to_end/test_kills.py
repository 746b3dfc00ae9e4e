"""Each accepted beacon counts once, whatever is killed meanwhile."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.end_to_end.system import ENGINES, System, running, wait_for
from tests.faults.clients import Clients
from tests.faults.storm import Find, Storm, processes
from tests.faults.verdict import verdict


@pytest.fixture(params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    with running(tmp_path / "home", request.param, PHAROS_K="1") as system:
        yield system


def owners_of_the_engine(system: System) -> list[int]:
    """Return the process that inserts: the dashboard's worker with the embedded engine, else the loader."""
    return processes(system, "load") if system.environ["PHAROS_CLICKHOUSE_URL"] else system.workers("dashboard")


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def check(system: System, clients: Clients) -> None:
    """Check that every table counts exactly the accepted beacons, each once."""
    found = verdict(system, clients.ledger, clients.wrong)
    assert found.good, str(found)


@pytest.mark.parametrize("victims", [lambda system: system.workers("collector")[:1], owners_of_the_engine],
                         ids=["collector worker", "owner of the engine"])  # fmt: skip
def test_a_part_that_is_killed_comes_back_and_loses_nothing(system: System, victims: Find) -> None:
    """After SIGKILL of a collector worker or the engine's owner, each accepted beacon counts once."""
    with Clients(system, 18) as clients:
        for _ in range(4):
            clients.wait_for_more()
            wait_for(lambda: victims(system), "the victim to live", 60)
            kill(victims(system))
    assert len(clients.ledger) > 200
    check(system, clients)


def test_all_killed_at_once_lose_nothing(system: System) -> None:
    """After SIGKILL of all processes at once, twice, each accepted beacon counts once."""
    with Clients(system, 19) as clients:
        for _ in range(2):
            clients.wait_for_more()
            kill(list(system.processes()))
            wait_for(lambda: not system.processes(), "all to be gone")
            assert system.process is not None
            system.process.wait(10)
            system.start()
    assert clients.posts["no answer"] > 0
    check(system, clients)


def test_a_storm_of_faults_loses_nothing(system: System) -> None:
    """After random kills and stops of all parts, each accepted beacon counts once. `make faults` does this longer."""
    with Clients(system, 20) as clients:
        storm = Storm(system, clients, random.Random(20), None)
        storm.run(kills=10)
    check(system, clients)
