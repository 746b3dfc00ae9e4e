"""Expired data leaves the disk, byte by byte, on a real ClickHouse: embedded and, with CLICKHOUSE_URL, a server."""

import os
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from core.home import Home
from core.settings import Settings
from pharos import doctor
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse import retention
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.retention import KEPT

pytestmark = pytest.mark.parametrize("kind", ENGINES)
MONTHS_26 = 793  # days, at least as many as 26 months ever have
# States and keys are written anew each day.
EXPIRED = {
    "usage_beacons", "installs_by_month", "features_by_month", "installs", "license_sources_by_month",
    "license_sightings", "license_sightings.ip", "license_sightings.ip_claim", "sightings_by_install",
    "license_beacons_per_hour",
}  # fmt: skip
OLD, YOUNG = {"addresses": 39, "rows": MONTHS_26 + 3}, {"addresses": 28, "rows": 390}


def load(engine: Engine, days: int, address: str, feature: str) -> None:
    """Load a beacon that was sent and received some days ago, with this address."""
    now = datetime.now(UTC)
    sent = (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    split = Planes(b"root secret of the tests").split(
        beacon(sent_at=sent, features={feature: 3}), address, now, keep_date=True
    )
    split.usage["received"] = split.usage["day"]
    for plane, row in (("usage", split.usage), ("license", split.license)):
        insert_batch(engine, plane, f"{plane} {feature}", [encode(row)])  # type: ignore[arg-type]
    # As a loader of the version before left it, but for what its views would count.
    del split.license["source_install"]
    lines = [encode({**split.license, "counted": 1, "in_state": 1})]
    engine.of("license_sightings").insert("license_sightings", lines, feature)


def marks(days: int) -> tuple[str, str]:
    """Return an address and a feature name that occur nowhere else."""
    return f"2001:db8:{days:x}:feed:beef:cafe:f00d:1", f"marker.qzxjkvw.{days}"


def on_disk(engine: Engine, home: Home, mark: str) -> bool:
    """Return whether a file of ClickHouse contains these bytes."""
    folders = [home.path]
    if not engine.embedded:
        node = Path(os.environ["CLICKHOUSE_CONFIG"]).parent
        folders = [*node.parent.iterdir()] if engine.cluster else [node]
    # grep and not our own loop: parts come and go meanwhile, and it goes on.
    return subprocess.run(["grep", "-rqaF", mark, *folders], stderr=subprocess.DEVNULL, check=False).returncode == 0


def gone(engine: Engine, home: Home, wanted: list[str], seconds: float = 100) -> bool:
    """Return whether the bytes leave the disk in time while new beacons are loaded."""
    end = time.monotonic() + seconds
    new = 0
    while time.monotonic() < end:
        if not any(on_disk(engine, home, mark) for mark in wanted):
            return True
        new += 1
        load(engine, 0, "203.0.113.1", f"new.feature{new}")
        time.sleep(3)
    return False


def merges_with_ttl(engine: Engine, most: int) -> None:
    """Set whether ClickHouse itself looks for expired data."""
    for kept in KEPT:
        if kept.interval and not kept.column:
            where = f"{kept.where}_local ON CLUSTER {engine.cluster}" if engine.cluster else kept.where
            engine.command(f"ALTER TABLE {where} MODIFY SETTING max_number_of_merges_with_ttl_in_pool = {most}")


def forced_out(engine: Engine, home: Home) -> dict[str, Any]:
    migrate(engine)
    merges_with_ttl(engine, 0)
    for days in (*OLD.values(), *YOUNG.values()):
        load(engine, days, *marks(days))
    old = [marks(OLD["addresses"])[0], *marks(OLD["rows"])]
    young = [marks(YOUNG["addresses"])[0], marks(YOUNG["rows"])[1]]
    told: dict[str, Any] = {"before": [on_disk(engine, home, mark) for mark in (*old, *young)]}
    told["late"] = {kept.name for kept, _ in retention.overdue(engine, retention.ALARM_DAYS)}
    told["doctor"] = doctor._retention(lambda: retention.faults(engine), Settings()).ok
    told["forced"] = set(retention.apply(engine))
    told["gone"] = gone(engine, home, old)
    told["after"] = [on_disk(engine, home, mark) for mark in young]
    told["late afterwards"] = list(retention.overdue(engine, 0))
    told["doctor afterwards"] = doctor._retention(lambda: retention.faults(engine), Settings()).ok
    told["counted"] = engine.query("SELECT count() FROM features_by_month WHERE feature LIKE 'marker.%'")[0][0]
    return told


def test_what_is_too_old_is_forced_off_the_disk(kind: str, tmp_path: Path) -> None:
    """Expired addresses and rows are removed, and younger ones stay.

    ClickHouse does not look for them here, as after a long stop or with busy merges.
    """
    told = done_in(kind, tmp_path, forced_out)
    assert told["before"] == [True] * 5  # the marks can be found at all
    assert told["late"] == told["forced"] == EXPIRED
    assert told["gone"]
    assert told["after"] == [True, True]
    assert told["late afterwards"] == []
    assert (told["doctor"], told["doctor afterwards"]) == (False, True)
    assert told["counted"] == 3


def by_itself(engine: Engine, home: Home) -> dict[str, Any]:
    migrate(engine)
    merges_with_ttl(engine, 0)
    for days in OLD.values():
        load(engine, days, *marks(days))
    old = [marks(OLD["addresses"])[0], *marks(OLD["rows"])]
    before = [on_disk(engine, home, mark) for mark in old]
    merges_with_ttl(engine, 2)
    return {"before": before, "gone": gone(engine, home, old)}


def first_run(engine: Engine, home: Home) -> set[str]:
    migrate(engine)
    for days in OLD.values():
        load(engine, days, *marks(days))
    return left_by_merges(engine, home)


def left_by_merges(engine: Engine, home: Home) -> set[str]:
    for kept in KEPT:
        if kept.interval:
            engine.command(f"OPTIMIZE TABLE {kept.where} FINAL")
    return {kept.name for kept, _ in retention.overdue(engine, retention.ALARM_DAYS)}


def test_what_clickhouse_does_by_itself(kind: str, tmp_path: Path) -> None:
    """A server rewrites parts with expired data, without waiting for other merges. The embedded engine drops nothing
    that nobody told it to: neither at its start nor in a merge, as its clock may be wrong.
    """
    if kind == "embedded":
        assert done_in(kind, tmp_path, first_run, empty=True) == EXPIRED
        assert done_in(kind, tmp_path, left_by_merges) == EXPIRED
    else:
        assert done_in(kind, tmp_path, by_itself) == {"before": [True] * 3, "gone": True}


def settings(engine: Engine, home: Home) -> dict[str, str]:
    migrate(engine)
    return retention.as_set(engine)


def test_the_table_of_retention_is_what_the_tables_are_set_to(kind: str, tmp_path: Path) -> None:
    """Each retention period equals the TTL in ClickHouse."""
    found = done_in(kind, tmp_path, settings)
    assert found == {kept.name: kept.how_long.partition(" after ")[0] for kept in KEPT if kept.interval}


def clocks(engine: Engine, home: Home) -> list[str]:
    migrate(engine)
    now = time.time()
    return [retention.clock_fault(engine, now + ahead) for ahead in (0, -365 * 86400, 7200)]


def test_a_clock_of_clickhouse_that_is_wrong_is_a_fault(kind: str, tmp_path: Path) -> None:
    """A server whose clock is a year ahead deletes what is not expired, so the doctor names it."""
    right, ahead, behind = done_in(kind, tmp_path, clocks)
    assert right == ""
    assert re.fullmatch(r"the clock of ClickHouse is 3153\d{4} s ahead of that of this machine", ahead)
    assert re.fullmatch(r"the clock of ClickHouse is 7[12]\d\d s behind that of this machine", behind)
