"""Tables, tokens and aggregates on a real ClickHouse: embedded and, with CLICKHOUSE_URL, on a server."""

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector import sealed_reports
from collector.batch_insert import TABLES, insert_batch
from collector.loader import Loader
from collector.planes import Planes, encode
from collector.spool import Row, Spool
from collector.spool.batches import MOST_MONTHS
from core.fields import DIMENSIONS, columns
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url, wait_for
from tests.migrated import made
from tests.processes import apart
from tests.warehouse.engines import engine_at
from warehouse import migrate, recount
from warehouse.engine import ContentError, Engine, EngineError
from warehouse.licensing import state_rows
from warehouse.queries import health, metrics

pytestmark = pytest.mark.parametrize("kind", ENGINES)
Work = Callable[[Engine, Home], Any]


def done_in(kind: str, folder: Path, work: Work, seconds: float = 600, *, empty: bool = False) -> Any:
    """Return the result of `work`, run in a separate process: chDB must not be forked.

    An embedded engine has its tables already, unless it is to be `empty`.
    """
    if kind == "embedded" and not empty:
        made()
    return apart(_with_engine, seconds, clickhouse_url(kind), folder, work, empty)


def _with_engine(url: str, folder: Path, work: Work, empty: bool) -> Any:
    home, engine = Home(folder / "home"), engine_at(url, folder, empty=empty)
    try:
        return work(engine, home)
    finally:
        engine.close()


def rows(beacons: list[dict[str, Any]], address: str = "198.51.100.7") -> list[Row]:
    """Return beacons from an address as the collector spools them."""
    planes = Planes(b"root secret of the tests")
    splits = [planes.split(one, address, datetime.now(UTC)) for one in beacons]
    return [Row(split.seen, encode(split.usage), encode(split.license)) for split in splits]


def uses(engine: Engine) -> int:
    """Return the sum of all uses in the aggregate."""
    return int(engine.query("SELECT sum(arraySum(mapValues(uses))) FROM features_by_month")[0][0])


def migrated_twice(engine: Engine, home: Home) -> tuple[list[str], list[str]]:
    return migrate.migrate(engine), migrate.migrate(engine)


def test_all_sql_files_apply_once(kind: str, tmp_path: Path) -> None:
    """An empty database gets every file, a migrated one none."""
    first, second = done_in(kind, tmp_path, migrated_twice, empty=True)
    assert (sorted(first), second) == ([name for name, _ in migrate.sql_files()], [])


def with_an_edited_file(engine: Engine, home: Home) -> str:
    migrate.migrate(engine)
    files = migrate.sql_files()
    migrate.sql_files = lambda: [(files[0][0], files[0][1] + "-- edited\n"), *files[1:]]
    try:
        migrate.migrate(engine)
    except migrate.MigrationError as error:
        return str(error)
    return ""


def test_a_file_that_was_edited_after_it_was_applied_is_refused(kind: str, tmp_path: Path) -> None:
    """An edited file stops the start and is named."""
    assert "001_usage.sql" in done_in(kind, tmp_path, with_an_edited_file)


def column_names(engine: Engine, home: Home) -> dict[str, set[str]]:
    migrate.migrate(engine)
    found = engine.query(
        "SELECT table, groupArray(name) FROM system.columns WHERE database = currentDatabase() GROUP BY 1"
    )
    return {table: set(names) for table, names in found}


def test_every_field_has_its_columns(kind: str, tmp_path: Path) -> None:
    """The field table and the schema have the same columns, and each plane has only its own."""
    tables = done_in(kind, tmp_path, column_names)
    assert tables["usage_beacons"] == {column for _, column in columns("usage")} | {
        "day", "received", "install", "beacon", "mark", "edition", "counted", "country",
    }  # fmt: skip
    assert tables["license_states"] == {"module", "install", "written", "sealed"}
    sealed = {field.name for field in msgspec.structs.fields(sealed_reports.Sighting)}
    assert {column for _, column in columns("license")} < sealed
    counted = tables["installs_by_month"] | tables["license_sources_by_month"]
    assert set(DIMENSIONS) - {"feature"} <= counted


def inserted_again(engine: Engine, home: Home) -> tuple[Any, ...]:
    migrate.migrate(engine)
    id = str(uuid.uuid4())
    lines = [row.usage for row in rows([beacon() for _ in range(50)])]
    for _ in range(3):
        insert_batch(engine, "usage", id, lines)
    return engine.query("SELECT count() FROM usage_beacons")[0][0], uses(engine), recount.differences(engine)


def test_a_batch_that_is_sent_again_changes_nothing(kind: str, tmp_path: Path) -> None:
    """The same lines with the same token count once, in rows and sums."""
    assert done_in(kind, tmp_path, inserted_again) == (50, 50, [])


def through_two_collectors(engine: Engine, home: Home) -> tuple[Any, ...]:
    migrate.migrate(engine)
    spooled = rows([beacon() for _ in range(40)])
    for name, part in (("one", spooled[:30]), ("two", spooled[10:])):
        spool = Spool(home.path / name)
        spool.store(part, 1e9)
        Loader(spool, engine).step()
        assert spool.stats().beacons == 0
    query = metrics.parse("installs", {"grain": "period"}, datetime.now(UTC).date())
    return uses(engine), metrics.answer(engine, query, 5)["rows"][0]["value"], recount.differences(engine)


def test_a_retry_through_another_collector_is_counted_once(kind: str, tmp_path: Path) -> None:
    """Beacons that two spools have count once, because the loader checks the warehouse first."""
    assert done_in(kind, tmp_path, through_two_collectors) == (40, 40, [])


def poisoned(engine: Engine, home: Home) -> tuple[Any, ...]:
    migrate.migrate(engine)
    good = rows([beacon() for _ in range(20)])
    bad = Row(b"x" * 16, good[0].usage.replace(b'"day":"', b'"day":"not a day, '), good[0].license)
    spool = Spool(home.path / "spool")
    spool.store([*good[:7], bad, *good[7:]], 1e9)
    try:
        engine.insert(TABLES["usage"], [bad.usage], "token")
    except ContentError as error:
        said = str(error)
    loader = Loader(spool, engine)
    while spool.stats().beacons:
        loader.step()
    (row,) = spool.quarantined()
    stood_aside = (row.plane, uses(engine))
    spool.retry_quarantined(row.id)  # it is as bad as before
    while spool.stats().beacons:
        loader.step()
    (again,) = spool.quarantined()
    return said, stood_aside, again.id != row.id, spool.drop_quarantined(again.id), recount.differences(engine)


def test_a_row_that_clickhouse_cannot_read_stands_aside(kind: str, tmp_path: Path) -> None:
    """An unreadable row goes to quarantine, also after a retry, and no message contains its content.

    The others load.
    """
    said, stood_aside, back_again, dropped, differences = done_in(kind, tmp_path, poisoned)
    assert "not a day" not in said
    assert stood_aside == ("usage", 20)
    assert back_again
    assert dropped
    assert differences == []


def tampered(engine: Engine, home: Home) -> list[str]:
    migrate.migrate(engine)
    spool = Spool(home.path / "spool")
    spool.store(rows([beacon() for _ in range(9)]), 1e9)
    Loader(spool, engine).step()
    engine.command(
        "INSERT INTO installs_by_month (module, install, month, days) VALUES ('x', 1, toStartOfMonth(today()), 1)"
    )
    for table in ("license_keys", "license_sources_by_month"):
        engine.command(f"ALTER TABLE {engine.altered(table)} DELETE WHERE 1 SETTINGS mutations_sync = 2")
    return recount.differences(engine)


def test_a_recount_finds_what_differs(kind: str, tmp_path: Path) -> None:
    """A wrong aggregate is reported with one line."""
    found = done_in(kind, tmp_path, tampered)
    assert [line.split(",")[0] for line in found] == ["usage", "license sources", "license keys"]


def troubles(engine: Engine, home: Home) -> list[Any]:
    migrate.migrate(engine)
    engine.query("SELECT 1")
    seen: list[Any] = [engine.trouble]
    for wrong in ("SELECT 1 FROM not_there", "SELECT toUInt8('x')"):
        try:
            engine.query(wrong)
        except EngineError as error:
            seen.append((type(error), engine.trouble and (engine.trouble.message, engine.trouble.exact)))
    engine.version()
    seen.append(engine.trouble is None)
    since = engine.trouble and engine.trouble.since
    engine.query("SELECT 1")
    seen.append(engine.trouble)
    try:
        engine.query("SELECT 1 FROM not_there")
    except EngineError as error:
        seen.append(error.trouble and error.trouble.since == since)
    return seen


def test_a_failure_is_known_until_something_succeeds(kind: str, tmp_path: Path) -> None:
    """A missing table is reported until it can be read again, although other queries succeed.

    A row that ClickHouse cannot read is no failure of the engine.
    """
    missing = ("answers with UNKNOWN_TABLE (60)", False)
    assert done_in(kind, tmp_path, troubles) == [
        None, (EngineError, missing), (ContentError, missing), False, None, True,
    ]  # fmt: skip


def loaders_told(engine: Engine, home: Home) -> Any:
    files = migrate.sql_files()
    migrate.sql_files = lambda: files[:3]
    migrate.migrate(engine)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.000")
    old = f'{{"loader":"{uuid.UUID(int=7)}","fresh_to":"{now}","written":"{now}"}}'
    engine.insert("freshness_by_loader", [old.encode()], "old")
    migrate.sql_files = lambda: files
    migrate.migrate(engine)
    spool = Spool(home.path / "spool")
    spool.store(rows([beacon() for _ in range(9)]), 1.5e9)
    loader = Loader(spool, engine)
    loader._tell_freshness(2e9, "the table differs from what the migrations create")
    # On a cluster the other replica gets a row a moment later.
    wait_for(lambda: len(health.loaders(engine)) == 2, "the first report")
    behind = health.loaders(engine)
    loader.step()
    wait_for(lambda: not any(told.waiting for told in health.loaders(engine)), "the second report")
    return behind, health.loaders(engine)


def test_a_loader_tells_how_it_is_doing(kind: str, tmp_path: Path) -> None:
    """A loader reports what waits, since when and why. Reports of older versions can be read."""
    behind, after = done_in(kind, tmp_path, loaders_told, empty=True)
    assert len(behind) == len(after) == 2
    assert (behind[0].waiting, behind[0].oldest, behind[0].fresh_to) == (9, *[datetime.fromtimestamp(1.5e9, UTC)] * 2)
    assert behind[0].trouble == "the table differs from what the migrations create"
    assert behind[0].free_bytes > 0
    assert behind[0].pharos
    (loaded,) = [loader for loader in after if loader.id == behind[0].id]
    assert (loaded.waiting, loaded.oldest, loaded.sealed, loaded.trouble) == (0, None, 0, "")
    assert not loaded.late(datetime.now(UTC))
    (old,) = [loader for loader in after if loader.id != behind[0].id]
    assert (old.waiting, old.pharos, old.trouble) == (0, "", "")


def with_gaps(engine: Engine, home: Home) -> Any:
    migrate.migrate(engine)
    empty = (
        metrics.days_with_beacons(engine, date(2026, 11, 1), date(2026, 11, 30)),
        health.beacons_per_hour(engine, datetime.now(UTC)),
    )
    now = datetime.now(UTC)
    ago = [timedelta(days=6), timedelta(hours=30), timedelta(hours=30), timedelta(0)]
    spool = Spool(home.path / "spool")
    spool.store(rows([beacon(sent_at=(now - back).isoformat()) for back in ago]), 1e9)
    Loader(spool, engine).step()
    days = metrics.days_with_beacons(engine, now.date() - timedelta(days=3), now.date())
    return empty, now, days, health.beacons_per_hour(engine, now + timedelta(seconds=5)), health.tables(engine)


def test_what_came_when_is_known_by_day_and_by_hour(kind: str, tmp_path: Path) -> None:
    """Days and hours without beacons are missing from the result. The first hour is known even outside the range."""
    empty, now, days, (first, by_hour), tables = done_in(kind, tmp_path, with_gaps)
    assert empty == ((None, frozenset()), (None, {}))
    assert days == ((now - timedelta(days=6)).date(), {(now - timedelta(hours=30)).date(), now.date()})
    assert first == (now - timedelta(days=6)).replace(minute=0, second=0, microsecond=0)
    hour = now.replace(minute=0, second=0, microsecond=0)
    assert by_hour == {hour - timedelta(hours=30): 2, hour: 1}
    (usage,) = [table for table in tables if table.name == "usage_beacons"]
    assert usage.rows == 4
    assert usage.bytes > 0


def of_many_months(engine: Engine, home: Home) -> tuple[Any, ...]:
    migrate.migrate(engine)
    planes = Planes(b"root secret of the tests")
    sent = [f"{2096 + month // 12}-{month % 12 + 1:02}-15T12:00:00Z" for month in range(MOST_MONTHS + 8)]
    splits = [planes.split(beacon(sent_at=at), "", datetime.now(UTC), keep_date=True) for at in sent]
    spool = Spool(home.path / "spool")
    spool.store([split.row() for split in splits], 1e9)
    loader = Loader(spool, engine)
    batches = 0
    while spool.stats().beacons:
        loader.step()
        batches += 1
    kept = [
        row["last"]
        for each in {split.license["install"] for split in splits}
        for row in state_rows.reports(engine, [each])
    ]
    return batches, len(kept), max(kept)[:10], recount.differences(engine)


def test_an_import_of_many_months_is_loaded(kind: str, tmp_path: Path) -> None:
    """Batches span a hundred months, up to the last accepted date. Retention drops no future date."""
    assert done_in(kind, tmp_path, of_many_months) == (2, MOST_MONTHS + 8, "2104-12-15", [])
