"""A disk that fills up under a running collector, and under the loader with the embedded engine."""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.group_commit import SPACE_SECONDS
from collector.loader import Loader
from collector.planes import Planes
from collector.spool import Spool, Unavailable
from core.home import Home
from core.settings import Settings
from tests.collector.live import KEY, Collector
from tests.collector.sample import Beacon, beacon
from tests.collector.small_disk import SmallDisk, small_disk
from tests.warehouse.test_engine import done_in
from tests.warehouse.test_engine import rows as beacon_rows
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.recount import differences

MIB = 1 << 20
# `pharos`, as if the disk filled up between two looks at how much of it is free.
UNWATCHED = [
    sys.executable, "-c",
    "import collector.spool.database as s; s.WATERMARK_BYTES = 0; from pharos.cli import main; main()",
]  # fmt: skip


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """64 MiB, and so a watermark of 3.2 MiB."""
    with small_disk(tmp_path / "disk", 64) as mounted:
        yield mounted


def spooled(home: Path) -> list[bytes]:
    """The duplicate ids of all beacons in the spool, sorted."""
    with sqlite3.connect(home / "spool.sqlite") as db:
        found = [id for (id,) in db.execute("SELECT id FROM beacons ORDER BY id")]
    db.close()
    return found


def ids(home: Path, beacons: list[Beacon]) -> list[bytes]:
    """The duplicate ids of beacons, sorted."""
    planes = Planes(Home(home).root_secret(Settings()))
    return sorted(planes.split(each, "", datetime.now(UTC)).seen for each in beacons)


def both_workers(collector: Collector) -> list[int]:
    """Wait until all workers have started; return their process ids."""
    while len(collector.processes()) < 3:
        time.sleep(0.01)
    return collector.processes()


def test_a_nearly_full_disk_refuses_until_it_is_freed(disk: SmallDisk) -> None:
    """Below the watermark beacons get a 503 and other requests work.

    With free space they get a 202 without a restart.
    """
    with Collector(disk.path / "home", PHAROS_INGEST_KEY=KEY) as collector:
        answered: list[Beacon] = []

        def post() -> int:
            status = collector.post(one := beacon()).status
            answered.extend([one] if status == 202 else [])
            return status

        def wait_for(status: int) -> None:
            deadline = time.monotonic() + 60 * SPACE_SECONDS
            while post() != status:
                assert time.monotonic() < deadline
                time.sleep(0.05)

        assert [post() for _ in range(20)] == [202] * 20
        before = both_workers(collector)
        for _ in range(3):
            disk.fill(leave=3 * MIB)
            time.sleep(SPACE_SECONDS)
            assert [post() for _ in range(20)] == [503] * 20
            assert "nearly full" in collector.post(beacon()).json["detail"]
            assert collector.request("GET", "/readyz").status == 503
            assert collector.request("GET", "/healthz").status == 200
            assert collector.request("GET", "/metrics").status == 200
            assert collector.post(beacon(), path="/v1/beacons/check").status == 200
            assert collector.post(b"NaN").why == (400, "malformed_json", "")
            assert collector.post(beacon(drop=["sent_at"])).why == (422, "missing_field", "sent_at")
            assert collector.post(beacon(), key=None).why == (401, "unauthorized", "")
            disk.free()
            wait_for(202)
            assert collector.request("GET", "/readyz").status == 200
        assert collector.processes() == before
    assert "refused: 503 unavailable: the disk is nearly full: " in collector.log.read_text()
    assert spooled(collector.home) == ids(collector.home, answered)


def post_until_answered(collector: Collector, stop: threading.Event) -> tuple[list[Beacon], set[str]]:
    """Post with retries until a 202; return the accepted beacons and the reasons for the refusals."""
    answered: list[Beacon] = []
    details: set[str] = set()
    batch = [beacon() for _ in range(20)]
    while not stop.is_set():
        answer = collector.post(batch)
        if answer.status == 503:
            details.add(answer.json["detail"].partition(":")[0])
            continue
        assert answer.status == 202
        # What was refused before may have been stored all the same.
        assert answer.json["accepted"] + answer.json["duplicates"] == 20
        answered += batch
        batch = [beacon() for _ in range(20)]
    return answered, details


def test_a_full_disk_loses_and_doubles_nothing(disk: SmallDisk) -> None:
    """On a full disk each request gets a 202 or 503, and each accepted beacon is spooled once."""
    stop = threading.Event()
    with Collector(disk.path / "home", UNWATCHED, PHAROS_INGEST_KEY=KEY) as collector, ThreadPoolExecutor(4) as pool:
        before = both_workers(collector)
        posting = [pool.submit(post_until_answered, collector, stop) for _ in range(4)]
        for _ in range(5):
            time.sleep(0.2)
            disk.fill()
            time.sleep(0.2)
            assert collector.request("GET", "/metrics").status == 200
            assert collector.post(b"NaN").why == (400, "malformed_json", "")
            disk.free()
        assert collector.processes() == before
        time.sleep(0.2)
        stop.set()
        done = [each.result() for each in posting]
        last = beacon()
        assert collector.post(last).json["accepted"] == 1
    answered = [each for batch, _ in done for each in batch] + [last]
    assert set().union(*(details for _, details in done)) == {"the spool cannot be written"}
    assert set(ids(collector.home, answered)) <= set(spooled(collector.home))
    assert len(set(spooled(collector.home))) == len(spooled(collector.home))


def test_a_worker_that_dies_on_a_full_disk_is_replaced(disk: SmallDisk) -> None:
    """A worker started on a full disk answers 503, and accepts beacons once there is space."""
    with Collector(disk.path / "home", PHAROS_INGEST_KEY=KEY, PHAROS_COLLECTOR_WORKERS="1") as collector:
        assert collector.post(beacon()).status == 202
        disk.fill()
        master, worker = collector.processes()
        os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while collector.processes() in ([master], [master, worker]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        replaced = collector.processes()
        assert collector.post(beacon()).why == (503, "unavailable", "")
        assert collector.post(b"NaN").why == (400, "malformed_json", "")
        disk.free()
        assert collector.post(beacon()).status == 202
        assert collector.processes() == replaced
    assert len(spooled(collector.home)) == 2


def loaded_on_a_nearly_full_disk(engine: Engine, home: Home) -> list[Any]:
    migrate(engine)
    disk, spool = SmallDisk(home.path.parent), Spool(home.spool)
    loader = Loader(spool, engine)
    told: list[Any] = []
    for leave in (None, 9 * MIB, None):
        spool.store(beacon_rows([beacon() for _ in range(500)]), time.time())
        if leave is None:
            disk.free()
        else:
            disk.fill(leave)
        try:
            loader.step()
        except Unavailable as error:
            told.append(str(error))
        told.append((engine.query("SELECT count() FROM usage_beacons")[0][0], differences(engine)))
    spool.close()
    return told


def test_the_loader_waits_for_space_in_the_embedded_engine(tmp_path: Path) -> None:
    """On a nearly full disk the loader inserts nothing and reports why. With space each beacon is loaded once."""
    with small_disk(tmp_path / "disk", 200) as disk:
        told = done_in("embedded", disk.path, loaded_on_a_nearly_full_disk, empty=True)
    assert told == [(500, []), "the disk is nearly full: 9 MiB free", (500, []), (1500, [])]
