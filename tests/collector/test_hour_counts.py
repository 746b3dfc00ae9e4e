"""The beacons of the license plane by hour: of the loader, of a loader of the version before, and what was there."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from collector.batch_insert import insert_batch
from collector.hour_counts import TABLE, per_hour
from collector.planes import SOURCE_INSTALL, Planes, encode
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url, wait_for
from tests.warehouse.engines import engine_at
from warehouse import migrate
from warehouse.engine import Engine

PLANES = Planes(b"root secret of the tests")
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
Hours = dict[datetime, tuple[int, int]]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = engine_at(clickhouse_url(request.param), tmp_path, empty=True)
    yield engine
    engine.close()


def reports(*hours: int, address: str = "203.0.113.9") -> list[bytes]:
    """Return a license row of a new install for each of these hours before now."""
    sent = [NOW - timedelta(hours=back) for back in hours]
    return [
        encode(PLANES.split(beacon(sent_at=at.isoformat(), server={}), address, NOW, keep_date=True).license)
        for at in sent
    ]


def insert_as_before(engine: Engine, rows: list[bytes]) -> None:
    """Insert sightings as a loader without counts by hour does."""
    lines = [{name: each for name, each in msgspec.json.decode(row).items() if name != SOURCE_INSTALL} for row in rows]
    engine.of(TABLE).insert("license_sightings", [encode(line) for line in lines], str(uuid.uuid4()))


def counted(engine: Engine) -> Hours:
    """Return the beacons of each hour, and those with an address."""
    rows = engine.of(TABLE).query(f"SELECT hour, sum(beacons), sum(with_address) FROM {TABLE} GROUP BY hour")
    return {hour.replace(tzinfo=UTC): (beacons, with_address) for hour, beacons, with_address in rows}


def at(back: int) -> datetime:
    return (NOW - timedelta(hours=back)).replace(minute=0)


def test_the_beacons_of_an_hour_are_counted_with_their_addresses() -> None:
    """An address of the connection counts, or one that the module reported."""
    lines = [msgspec.json.decode(line) for line in per_hour([*reports(30, 2), *reports(2, address="")])]
    assert [(line["beacons"], line["with_address"]) for line in lines] == [(1, 1), (2, 1)]
    assert [line["hour"] for line in lines] == [f"{at(back):%Y-%m-%d %H:%M:%S}" for back in (30, 2)]
    claimed = encode({"time": "2026-11-29 10:59:59.999", "ip": "", "ip_claim": "203.0.113.9"})
    assert per_hour([claimed]) == [b'{"hour":"2026-11-29 10:00:00","beacons":1,"with_address":1}']


def test_a_batch_counts_once(engine: Engine) -> None:
    """Also when it is sent again after a kill, and beside other batches of the same hours."""
    migrate.migrate(engine)
    first, second = [*reports(30, 30, 1), *reports(1, address="")], reports(30, 1)
    for id, rows in (("first", first), ("second", second), ("first", first)):
        insert_batch(engine, "license", id, rows)
    wait_for(lambda: counted(engine) == {at(30): (3, 3), at(1): (3, 2)}, "all replicas")


def test_what_was_there_counts_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migration counts it, also if it is killed and begins again, and then a view what an older loader inserts."""
    files = migrate.sql_files()
    (text,) = [text for name, text in files if TABLE in name]
    monkeypatch.setattr(migrate, "sql_files", lambda: [each for each in files if TABLE not in each[0]])
    migrate.migrate(engine)
    insert_as_before(engine, [*reports(*range(30, 40)), *reports(30, address="")])
    monkeypatch.undo()
    wait_for(lambda: engine.of(TABLE).query("SELECT count() FROM license_sightings") == [(11,)], "all replicas")
    migrate._apply(engine, text)
    migrate.migrate(engine)
    insert_as_before(engine, reports(30, 1))
    hours = {at(back): (1, 1) for back in range(31, 40)}
    wait_for(lambda: counted(engine) == {at(30): (3, 2), **hours, at(1): (1, 1)}, "all replicas")
