"""After the rows of the usage plane have expired, its figures stay, on the embedded engine and on a server."""

import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from collector.loader import Loader
from collector.planes import Planes, Split, encode
from collector.spool import Spool
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in, uses
from tests.warehouse.test_export import Exported
from warehouse import export, recount, retention
from warehouse.complete_days import complete_from
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.queries import metrics

pytestmark = pytest.mark.parametrize("kind", ENGINES)
NOW = datetime.now(UTC)
# Days before today. The last year is here, and days at both sides of the retention and of the month's edge.
DAYS = (420, 400, 365, 200, 100, 61, 60, 37, 34, 33, 32, 31, 20, 8, 1, 0)
INSTALLS = [str(uuid.UUID(int=number, version=4)) for number in range(1, 8)]
PLANES = Planes(b"root secret of the tests")


def sent(number: int, back: int, received: datetime | None = None) -> Split:
    """Return the beacon of an install from so many days ago; imported now, or received then."""
    then = NOW - timedelta(days=back)
    one = beacon(
        beacon_id=str(uuid.UUID(int=(number << 64) + back + 1, version=4)),
        install_id=INSTALLS[number],
        sent_at=then.isoformat(),
        features={"invoice.pdf_export": number + back, "bulk_email": 0},
    )
    one["platform"]["php"] = php(back)
    return PLANES.split(one, "198.51.100.7", received or then, keep_date=True)


def php(back: int) -> str:
    return "8.3.1" if back < 60 else "8.2.12"


def filled(engine: Engine) -> None:
    """Load the beacons of all installs and days, and let ClickHouse delete what has expired."""
    migrate(engine)
    for number in range(len(INSTALLS)):
        lines = [encode(sent(number, back).usage) for back in DAYS]
        insert_batch(engine, "usage", str(uuid.uuid4()), lines)
    engine.command(f"ALTER TABLE {engine.altered('usage_beacons')} MATERIALIZE TTL", {"mutations_sync": 2})


def figures(engine: Engine) -> dict[str, dict[tuple[Any, ...], Any]]:
    """Return installs and uses by month and PHP, as the read API gives them with k = 1."""
    span = {"from": (NOW - timedelta(days=425)).date().isoformat(), "grain": "month", "by": "php"}
    found = {}
    for metric in ("installs", "feature_uses"):
        rows = metrics.answer(engine, metrics.parse(metric, span, NOW.date()), 1)["rows"]
        found[metric] = {(row["bucket"][:7], row["key"]): row["value"] for row in rows if row["value"]}
    return found


def expected(numbers: range) -> dict[str, dict[tuple[Any, ...], Any]]:
    months: Counter[tuple[str, str]] = Counter()
    for number in numbers:
        for back in DAYS:
            months[f"{NOW - timedelta(days=back):%Y-%m}", php(back)] += number + back
    installs = dict.fromkeys(months, len(numbers))
    return {"installs": installs, "feature_uses": {key: value for key, value in months.items() if value}}


def after_the_rows(engine: Engine, home: Home) -> dict[str, Any]:
    filled(engine)
    found: dict[str, Any] = {"rows": engine.query("SELECT count() FROM usage_beacons")[0][0]}
    found["figures"], found["differences"] = figures(engine), recount.differences(engine)
    tables = export.EngineTables(engine)
    found["exported"] = [(part, tables.read(part)) for part in tables.contents().parts]

    found["sums"] = [uses(engine)]
    spool = Spool(home.spool)
    for again in ([(0, 365), (1, 100), (2, 37), (3, 20), (4, 0)], [(0, 300), (1, 301)], [(0, 300), (1, 301)]):
        spool.store([sent(number, back, NOW).row() for number, back in again], NOW.timestamp())
        Loader(spool, engine).step()
        found["sums"].append(uses(engine))
    found["differences after imports"] = recount.differences(engine)
    engine.command(
        "INSERT INTO features_by_month (module, feature, install, month, variant, reported, uses) "
        "SELECT 'invoice_pro', 'invoice.pdf_export', 1, toStartOfMonth(today()), 0, "
        "bitShiftLeft(1::UInt32, toDayOfMonth(today()) - 1)::UInt32, map(toDayOfMonth(today()), 1)"
    )
    found["of a wrong sum"] = len(recount.differences(engine))
    return found


def brought_in(exported: Exported, engine: Engine, home: Home) -> tuple[Any, ...]:
    assert export.is_empty(engine)
    for _ in range(2):
        for part, native in exported:
            if native:
                engine.write(part.table, native, part.name)
    return figures(engine), recount.differences(engine), export.counted(engine)


def test_figures_outlive_their_rows(kind: str, tmp_path: Path) -> None:
    """Figures of this year and of last year are exact, also after a backup and its restore and a repeated import.

    An import adds uses to a day that had none. `recount` compares what is still there, and finds a wrong sum.
    """
    found = done_in(kind, tmp_path, after_the_rows)
    everything = expected(range(len(INSTALLS)))
    left = len(INSTALLS) * sum(back < 35 for back in DAYS)
    assert found["rows"] == left
    assert found["figures"] == everything
    assert found["differences"] == []
    assert found["differences after imports"] == []
    total = sum(everything["feature_uses"].values())
    assert found["sums"] == [total, total, total + 300 + 302, total + 300 + 302]
    assert found["of a wrong sum"] == 1
    assert {part.table for part, _ in found["exported"]} >= {"installs_by_month", "features_by_month", "installs"}
    restored = done_in(kind, tmp_path / "other", partial(brought_in, found["exported"]))
    assert restored == (everything, [], (left, len(INSTALLS)))


def with_other_periods(engine: Engine, home: Home) -> tuple[Any, ...]:
    filled(engine)
    engine.raw_days, engine.aggregate_months = 50, 13
    migrate(engine)
    shorter = retention.as_set(engine), retention.faults(engine), recount.differences(engine)
    insert_batch(engine, "usage", str(uuid.uuid4()), [encode(sent(0, 36).usage)])
    return *shorter, recount.differences(engine)


def test_the_periods_are_settings(kind: str, tmp_path: Path) -> None:
    """A new period is set in the tables at the next start. `recount` then misses nothing."""
    found, faults, before, after = done_in(kind, tmp_path, with_other_periods)
    assert (found["usage_beacons"], found["installs_by_month"], found["installs"]) == (
        "50 days", "14 months", "13 months",
    )  # fmt: skip
    assert faults == []
    assert (before, after) == ([], [])


def one_day(engine: Engine, home: Home) -> list[date]:
    migrate(engine)
    days = [complete_from(engine)]
    insert_batch(engine, "usage", "recent", [encode(sent(0, 3).usage)])
    days.append(complete_from(engine))
    insert_batch(engine, "usage", "long ago", [encode(sent(0, 60).usage)])
    engine.command(f"ALTER TABLE {engine.altered('usage_beacons')} MATERIALIZE TTL", {"mutations_sync": 2})
    return [*days, complete_from(engine)]


def test_a_young_home_is_compared_from_its_first_day(kind: str, tmp_path: Path) -> None:
    """While nothing has expired, the setting says which days are complete. Later the oldest row may say it too."""
    by_setting = NOW.date() - timedelta(days=32)
    assert done_in(kind, tmp_path, one_day) == [by_setting, by_setting, NOW.date() - timedelta(days=3)]
