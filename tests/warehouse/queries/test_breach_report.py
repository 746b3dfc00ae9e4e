"""What a notice of a breach needs."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in, rows
from warehouse import migrate
from warehouse.engine import Engine
from warehouse.queries.breach_report import Affected, affected

NOW = datetime.now(UTC)


def of(module: str, count: int, back: int) -> list[dict[str, Any]]:
    """Beacons of so many installs with this module, from so many days ago."""
    sent_at = (NOW - timedelta(days=back)).isoformat()
    return [beacon(module={"name": module, "version": "1"}, sent_at=sent_at) for _ in range(count)]


def asked(engine: Engine, home: Home) -> list[Affected]:
    migrate.migrate(engine)
    split = rows([*of("common", 12, 3), *of("rare", 3, 3), *of("late", 9, 0)])
    insert_batch(engine, "usage", "one", [row.usage for row in split])
    insert_batch(engine, "license", "two", [row.license for row in split])
    today = NOW.date()
    spans: list[tuple[date, date]] = [
        (today - timedelta(days=4), today - timedelta(days=2)),
        (today - timedelta(days=9), today - timedelta(days=8)),
        (today - timedelta(days=1), today),
    ]
    return [affected(engine, since, until, 5) for since, until in spans]


@pytest.mark.parametrize("kind", ENGINES)
def test_a_notice_has_what_was_held_and_names_no_small_group(kind: str, tmp_path: Path) -> None:
    """Installs, beacons, modules, addresses and columns of what lay there in the span, with what came before it; a
    module with few installs is told without a figure."""
    then, before, now = done_in(kind, tmp_path, asked)
    assert (then.installs, then.beacons, then.addresses, then.with_address) == (15, 15, 15, 15)
    assert then.modules == {"common": 10, "rare": None}
    held = {each.table: each for each in then.tables}
    assert held["usage_beacons"].rows == 15
    assert held["license_sightings"].rows == held["sightings_by_install"].rows == 0
    assert held["license_states"].rows == 24, "they are written anew each day, whatever day their reports are from"
    assert "sealed" in held["license_states"].columns
    assert (before.installs, before.beacons, before.modules, before.addresses) == (0, None, {}, 0)
    assert (now.installs, now.beacons, now.modules) == (20, 24, {"common": 10, "rare": None, "late": 5})
