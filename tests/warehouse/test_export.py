"""Tables exported from one ClickHouse and imported into another, with every beacon once."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from collector.loader import Loader
from collector.spool import Spool
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in, rows, uses
from warehouse import export
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.migrate import migrate
from warehouse.recount import differences

pytestmark = pytest.mark.parametrize("kind", ENGINES)
Exported = list[tuple[export.Part, bytes]]


def reports(engine: Engine) -> list[dict[str, Any]]:
    """Return the license reports of each install."""
    installs = [install for (install,) in engine.query("SELECT DISTINCT install FROM license_states ORDER BY install")]
    return state_rows.reports(engine, installs)


def taken_out(engine: Engine, home: Home) -> tuple[Exported, list[dict[str, Any]]]:
    """Export 60 beacons, 10 of them stored twice."""
    migrate(engine)
    spooled, spool = rows([beacon() for _ in range(60)]), Spool(home.spool)
    spool.store(spooled, 1e9)
    Loader(spool, engine).step()
    engine.insert("usage_beacons", [row.usage for row in spooled[:10]], "of a collector that was as fast")
    assert uses(engine) == 70
    export.PART_ROWS = 25
    tables = export.EngineTables(engine)
    return [(part, tables.read(part)) for part in tables.contents().parts], reports(engine)


def brought_in(exported: Exported, engine: Engine, home: Home) -> tuple[Any, ...]:
    assert export.is_empty(engine)
    for _ in range(2):
        for part, native in exported:
            engine.write(part.table, native, part.name)
    assert not export.is_empty(engine)
    ((by_hour,),) = engine.query("SELECT sum(beacons) FROM license_beacons_per_hour")
    return export.counted(engine), uses(engine), by_hour, differences(engine), reports(engine)


def test_tables_are_brought_to_another_clickhouse(kind: str, tmp_path: Path) -> None:
    """A repeated import in parts counts each beacon once and keeps the license reports, for whoever has their key."""
    exported, reports = done_in(kind, tmp_path, taken_out)
    assert [(part.table, part.of) for part, _ in exported] == [("usage_beacons", 3)] * 3 + [
        ("license_beacons_per_hour", 1), *[("license_states", 3)] * 3, *[("license_keys", 3)] * 3,
        *[("license_sources_by_month", 3)] * 3,
    ]  # fmt: skip
    assert len({part.name for part, _ in exported}) == 13
    assert len(reports) == 60
    assert done_in(kind, tmp_path / "other", partial(brought_in, exported)) == ((60, 60), 60, 60, [], reports)


def nothing(engine: Engine, home: Home) -> list[export.Part]:
    engine.create_database()
    return export.EngineTables(engine).contents().parts


def test_a_database_without_tables_has_no_parts(kind: str, tmp_path: Path) -> None:
    """A database without tables exports nothing and is no error."""
    assert done_in(kind, tmp_path, nothing) == []
