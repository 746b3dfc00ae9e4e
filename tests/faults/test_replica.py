"""A cluster of which a replica is killed, is away for a while, and comes back."""

import os
import random
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.end_to_end.system import System, running, wait_for
from tests.end_to_end.test_rights import ask, curl
from tests.faults.clickhouse import ClickHouse, beside
from tests.faults.clients import Clients
from tests.faults.storm import Storm
from tests.faults.verdict import verdict
from tests.fleet import reference
from tests.fleet.stream import encoded, stream

pytestmark = pytest.mark.server
DAYS, BEACONS = 20, 6000


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClickHouse]:
    found = beside() if "CLICKHOUSE_CLUSTER" in os.environ else None
    if found is None or "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("needs a cluster of its own whose servers may be killed (CLICKHOUSE_URLS, CLICKHOUSE_PIDS)")
    yield found
    found.end()  # nothing can follow on this cluster


GRAINS: tuple[reference.Grain, ...] = ("day", "week", "period")
QUESTIONS: list[tuple[reference.Metric, str | None, reference.Count]] = [
    ("installs", None, "reported"),
    ("installs", "version", "reported"),
    ("installs", "php_series", "latest"),
    ("installs", "license_source", "latest"),
    ("feature_installs", "feature", "reported"),
    ("feature_uses", "feature", "reported"),
]


class Sent:
    """A system, and what it was sent."""

    def __init__(self, system: System, end: date) -> None:
        self._system, self._end, self._start = system, end, end - timedelta(days=DAYS - 1)
        self._beacons: list[reference.Beacon] = []

    def send(self, beacons: list[reference.Beacon]) -> None:
        """Import beacons."""
        done = self._system.run("import", "-", stdin=b"\n".join(map(encoded, beacons)))
        assert done.returncode == 0, done.stderr
        self._beacons += beacons

    def forget(self, install: str) -> None:
        """Count the beacons of this install no more."""
        self._beacons = [one for one in self._beacons if one["install_id"] != install]

    def check(self) -> None:
        """The figures of all of it are those of the reference."""
        self._system.drain()
        beacons = reference.dated(self._beacons)
        for metric, by, count in QUESTIONS:
            for grain in GRAINS:
                span = {"from": str(self._start), "to": str(self._end)}
                rows = self._system.rows(metric, **span, grain=grain, by=by or "none", count=count)
                assert rows == reference.metric(beacons, metric, self._start, self._end, grain, by, k=5, count=count)


def test_figures_and_requests_while_replicas_are_away_and_back(cluster: ClickHouse, tmp_path: Path) -> None:
    """Figures are whole with one replica of each shard; what came meanwhile counts, and requests are carried out."""
    end = datetime.now(UTC).date() - timedelta(days=1)
    beacons = stream(11, BEACONS, installs=300, days=DAYS, end=end).accepted
    third, mine = len(beacons) // 3, str(beacons[0]["install_id"])
    away = [cluster.nodes[1], cluster.nodes[3]]
    with running(tmp_path / "home", "server") as system:
        sent = Sent(system, end)
        sent.send(beacons[:third])
        sent.check()
        for node in away:
            node.end(signal.SIGKILL)
        sent.check()
        sent.send(beacons[third : 2 * third])
        sent.check()
        erasure = ask(system, mine, "erase")
        for node in away:
            node.start()
        wait_for(lambda: curl(erasure)["state"] == "done", "the erasure", 180)
        sent.forget(mine)
        sent.check()
        sent.send([one for one in beacons[2 * third :] if one["install_id"] != mine])
        sent.check()


def test_replicas_that_are_killed_while_beacons_come_lose_nothing(cluster: ClickHouse, tmp_path: Path) -> None:
    """Each accepted beacon counts once, on every replica, after each replica but the first was killed."""
    with running(tmp_path / "home", "server", PHAROS_K="1") as system:
        with Clients(system, 23) as clients:
            for node in cluster.victims:
                clients.wait_for_more()
                node.end(signal.SIGKILL)
                clients.wait_for_more()
                node.start()
            clients.wait_for_more()
        found = verdict(system, clients.ledger, clients.wrong)
    assert found.good, str(found)


def test_a_storm_of_faults_loses_nothing(cluster: ClickHouse, tmp_path: Path) -> None:
    """After random kills of all parts and of replicas, each accepted beacon counts once. KILLS says how many."""
    with running(tmp_path / "home", "server", PHAROS_K="1") as system:
        with Clients(system, 24) as clients:
            Storm(system, clients, random.Random(24), cluster).run(int(os.environ.get("KILLS", "5")))
        found = verdict(system, clients.ledger, clients.wrong)
    assert found.good, str(found)
