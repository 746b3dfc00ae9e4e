"""A database whose aggregates have a row for each day is brought along, whatever interrupts it."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.batch_insert import insert_batch
from collector.planes import SOURCE_INSTALL, Planes, encode
from collector.sealed_reports import fill
from collector.spool import Row
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse import migrate, month_tables, recount
from warehouse.engine import Engine, EngineError

pytestmark = pytest.mark.parametrize("kind", ENGINES)
DAYS = (0, 1, 20, 31, 32, 45, 62)


def sent(installs: list[str]) -> list[Row]:
    """Beacons of several months, with an upgrade within a day, and with features that are named but not used."""
    now = datetime.now(UTC)
    planes = Planes(b"root secret of the tests")
    splits = []
    for number, install in enumerate(installs):
        for days in DAYS:
            for php in ("8.2.12", "8.3.1")[: 1 + (days == 20)]:
                features = {"invoice.pdf_export": number + days, "bulk_email": 0, f"only.{php[2]}": 2}
                one = beacon(
                    install_id=install,
                    sent_at=(now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    features=features,
                )
                one["platform"]["php"] = php
                split = planes.split(one, "198.51.100.7", now, keep_date=True)
                del split.license[SOURCE_INSTALL]  # the counts by source had no name of their own
                splits.append(split)
    return [Row(split.seen, encode(split.usage), encode(split.license)) for split in splits]


def insert(engine: Engine, rows: list[Row]) -> None:
    for plane in ("usage", "license"):
        lines = sorted(getattr(row, plane) for row in rows)
        insert_batch(engine, plane, str(uuid.uuid4()), lines)


def version_before(engine: Engine, installs: list[str]) -> None:
    """A database with beacons, as the version before the tables by month left it."""
    every = migrate.sql_files
    migrate.sql_files = lambda: [(name, text) for name, text in every() if name < month_tables.AFTER]
    try:
        migrate.migrate(engine)
    finally:
        migrate.sql_files = every
    rows = [_without_receipt(row) for row in sent(installs)]
    insert_batch(engine, "usage", str(uuid.uuid4()), sorted(row.usage for row in rows))
    sightings = "license_sightings"  # in clear
    engine.of(sightings).insert(sightings, sorted(row.license for row in rows), str(uuid.uuid4()))


def _without_receipt(row: Row) -> Row:
    """The version before did not store the day of receipt, nor whether a report arrived on its day."""
    usage, license = msgspec.json.decode(row.usage), msgspec.json.decode(row.license)
    del usage["received"], license["received"]
    return Row(row.seen, encode(usage), encode(license))


def unmatched(engine: Engine) -> int:
    """How many rows of features belong to no set of values that the install reported."""
    ((number,),) = engine.query(
        "SELECT count() FROM features_by_month WHERE (module, install, month, variant) NOT IN "
        "(SELECT module, install, month, variant FROM installs_by_month) SETTINGS distributed_product_mode = 'local'"
    )
    return int(number)


def brought_along(engine: Engine, home: Home) -> tuple[Any, ...]:
    installs = [str(uuid.uuid4()) for _ in range(9)]
    version_before(engine, installs)
    migrate.migrate(engine)
    fill(engine)
    after = recount.differences(engine)
    insert(engine, sent(installs))  # the same installs go on, in the same months
    ((rows,),) = engine.query("SELECT uniqExact(module, install, month, version, php) FROM installs_by_month")
    ((variants,),) = engine.query("SELECT uniqExact(module, install, month, variant) FROM features_by_month")
    return after, recount.differences(engine), unmatched(engine), rows == variants


def test_the_months_equal_the_rows(kind: str, tmp_path: Path) -> None:
    """Every install, day, feature and sum is as before; what comes later belongs to the same rows."""
    assert done_in(kind, tmp_path, brought_along, empty=True) == ([], [], 0, True)


def killed_everywhere(engine: Engine, home: Home) -> tuple[int, list[str], int]:
    version_before(engine, [str(uuid.uuid4()) for _ in range(3)])
    command: Callable[..., None] = Engine.command
    failures = 0
    while failures < 200:
        left = failures

        def interrupted(self: Engine, sql: str, settings: Any = None) -> None:
            nonlocal left
            command(self, sql, settings)
            if left == 0:
                raise EngineError("killed")
            left -= 1

        Engine.command = interrupted  # type: ignore[method-assign]
        try:
            migrate.migrate(engine)
        except EngineError:
            failures += 1
        else:
            break
        finally:
            Engine.command = command  # type: ignore[method-assign]
    fill(engine)
    return failures, recount.differences(engine), unmatched(engine)


def test_a_kill_after_any_statement_changes_nothing(kind: str, tmp_path: Path) -> None:
    """Each attempt gets one statement further than the one before. In the end every beacon is counted once."""
    failures, differences, lost = done_in(kind, tmp_path, killed_everywhere, empty=True)
    assert 10 < failures < 200
    assert differences == []
    assert lost == 0
