"""The counts by license source have a pseudonym of their own, and each install counts once under it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.batch_insert import insert_batch
from collector.loader import Loader
from collector.planes import SOURCE_INSTALL, Planes, encode
from collector.sealed_reports import fill
from collector.source_counts import counts
from collector.spool import Row, Spool
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, wait_for
from tests.warehouse.test_engine import done_in
from warehouse import install_data
from warehouse.engine import Engine
from warehouse.install_data import LATE
from warehouse.migrate import migrate
from warehouse.queries import linkage, metrics
from warehouse.recount import differences

PLANES = Planes(b"root secret of the tests")
INSTALLS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(8)]
COUNTED = "SELECT DISTINCT install, own_name FROM license_sources_by_month"


def rows(back: int, installs: list[str] = INSTALLS) -> list[Row]:
    """Return the rows for the spool of beacons that were sent so many days ago."""
    now = datetime.now(UTC)
    sent = (now - timedelta(days=back)).isoformat()
    return [PLANES.split(beacon(install_id=each, sent_at=sent), "203.0.113.9", now).row() for each in installs]


def names(plane: str) -> set[int]:
    return {PLANES.pseudonyms(bytes.fromhex(each.replace("-", "")), 0)[plane] for each in INSTALLS}  # type: ignore[index]


def test_a_count_has_no_id_of_its_report() -> None:
    """Only a pseudonym of its own, and whether there is a key."""
    split = PLANES.split(beacon(), "203.0.113.9", datetime.now(UTC))
    (count,) = (msgspec.json.decode(line) for line in counts([encode(split.license)]))
    assert count["install"] == split.license.pop(SOURCE_INSTALL)
    assert (count["own_name"], count["keyed"]) == (1, 2)
    assert not {value for value in split.license.values() if isinstance(value, int) and value > 2} & {*count.values()}
    (count,) = (msgspec.json.decode(line) for line in counts([encode({**split.license, "key": 0})]))
    assert count["keyed"] == 1
    (count,) = (msgspec.json.decode(line) for line in counts([encode({**split.license, "received": 0})]))
    assert count["keyed"] == LATE


def test_no_value_and_no_number_joins_the_counts_to_other_tables() -> None:
    """No two columns share a value, also after xor, addition, subtraction or truncation of numbers."""
    now = datetime.now(UTC)
    splits = [PLANES.split(beacon(), "203.0.113.9", now) for _ in range(200)]
    counted = [msgspec.json.decode(line) for line in counts([encode(split.license) for split in splits])]
    assert len({row["install"] for row in counted}) == len(splits)
    reports = [{name: value for name, value in split.license.items() if name != SOURCE_INSTALL} for split in splits]
    usage = [{name: value for name, value in split.usage.items() if name != "features"} for split in splits]
    for others in (reports, usage):
        planes = linkage.Planes(others, counted)
        for found in (*linkage.equal_values(planes), *linkage.related_ids(planes)):
            assert not any(len(each) < 5 for each in found.values())


def test_a_row_of_an_earlier_spool_counts_under_its_name_in_the_plane() -> None:
    """It has no pseudonym for the counts. It is renamed later."""
    row = PLANES.split(beacon(), "203.0.113.9", datetime.now(UTC)).license
    del row[SOURCE_INSTALL]
    (count,) = (msgspec.json.decode(line) for line in counts([encode(row)]))
    assert (count["install"], count["own_name"]) == (row["install"], 0)


def period(engine: Engine) -> Any:
    """Return the installs of all days by source."""
    query = metrics.parse("installs", {"grain": "period", "by": "license_source"}, datetime.now(UTC).date())
    return [row["value"] for row in metrics.answer(engine, query, 1)["rows"]]


def counted_after_kills(engine: Engine, home: Home) -> Any:
    """Load a batch that was killed after its reports, and again after its counts."""
    migrate(engine)
    spool = Spool(home.spool)
    spool.store(rows(1), time.time())
    batch = spool.seal(100)
    assert batch is not None
    assert batch.license is not None
    lines = spool.rows(batch, "license")
    insert = Engine.insert

    def killed(self: Engine, table: str, *more: Any) -> None:
        if table == install_data.SOURCES:
            raise KeyboardInterrupt
        insert(self, table, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "insert", killed)
        with pytest.raises(KeyboardInterrupt):
            insert_batch(engine, "license", batch.license, lines)
    before = engine.query(COUNTED)
    insert_batch(engine, "license", batch.license, lines)
    Loader(spool, engine).step()
    wait_for(lambda: len({*engine.query(COUNTED)}) == len(INSTALLS) == sum(period(engine)), "all replicas")
    return before, {*engine.query(COUNTED)}, period(engine), differences(engine)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_batch_counts_under_the_name_of_the_counts_alone(kind: str, tmp_path: Path) -> None:
    """A kill between the two inserts loses nothing and doubles nothing."""
    before, counted, by_source, different = done_in(kind, tmp_path, counted_after_kills)
    assert before == []
    assert counted == {(name, 1) for name in names("source")}
    assert not names("source") & (names("license") | names("usage"))
    assert by_source == [len(INSTALLS)]
    assert different == []


def renamed(engine: Engine, home: Home) -> Any:
    """Load reports as the version before did, then further ones of most of these installs."""
    migrate(engine)
    old = [
        {name: v for name, v in msgspec.json.decode(row.license).items() if name != SOURCE_INSTALL} for row in rows(2)
    ]
    engine.insert("license_sightings", [encode(row) for row in old], "of the version before")
    fill(engine)
    # A replica may lag behind.
    wait_for(lambda: len({*engine.query(COUNTED)}) == len(INSTALLS) == sum(period(engine)), "all replicas")
    before = {*engine.query(COUNTED)}, period(engine)
    spool = Spool(home.spool)
    loader = Loader(spool, engine)
    for _ in range(2):
        spool.store(rows(1, INSTALLS[:-1]), time.time())
        loader.step()
    wait_for(lambda: not install_data.deleting(engine), "the renaming")
    wait_for(lambda: not differences(engine) and len({*engine.query(COUNTED)}) == len(INSTALLS), "all replicas")
    days = engine.query("SELECT bitCount(groupBitOr(days)) FROM license_sources_by_month GROUP BY install, month")
    return *before, engine.query(COUNTED), period(engine), sum(number for (number,) in days), differences(engine)


@pytest.mark.parametrize("kind", ENGINES)
def test_counts_of_the_version_before_get_the_new_name(kind: str, tmp_path: Path) -> None:
    """An install that goes on counts once in a span with days of both names; one that is silent keeps the old name."""
    before, by_source, after, still, days, different = done_in(kind, tmp_path, renamed)
    assert before == {(name, 0) for name in names("license")}
    assert by_source == still == [len(INSTALLS)]
    assert sorted(own for _, own in after) == [0] + [1] * (len(INSTALLS) - 1)
    assert {name for name, own in after if own} < names("source")
    assert days == 2 * len(INSTALLS) - 1
    assert different == []
