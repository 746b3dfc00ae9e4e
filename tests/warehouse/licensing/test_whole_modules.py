"""What concerns whole modules is known from the counts by source: who turned from licensed, and who sends a key."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, wait_for
from tests.warehouse.test_engine import done_in
from warehouse.engine import Engine
from warehouse.licensing import whole_modules
from warehouse.licensing.facts import Cohort
from warehouse.licensing.incidents import Turn
from warehouse.migrate import migrate

PLANES = Planes(b"root secret of the tests")
NOW = datetime.now(UTC)
KEY = {"key_hash": "ab" * 32}


def day(ago: int) -> datetime:
    return (NOW - timedelta(days=ago)).replace(hour=0, minute=0, second=0, microsecond=0)


def reports(install: str, status: str, days: Sequence[int], key: Any = KEY, version: str = "3.2.1") -> list[bytes]:
    """Return the license rows of an install that reported a status on some days ago."""
    license = {"status": status, "source": "whmcs", **key}
    module = {"name": "invoice_pro", "version": version}
    return [
        encode(
            PLANES.split(
                beacon(
                    install_id=install, sent_at=(NOW - timedelta(days=ago)).isoformat(), license=license, module=module
                ),
                "203.0.113.9",
                NOW,
                keep_date=True,
            ).license
        )
        for ago in days
    ]


def name(install: str) -> int:
    return PLANES.pseudonyms(uuid.UUID(install).bytes, 0)["source"]


def someone() -> str:
    return str(uuid.uuid4())


def known(engine: Engine, home: Home) -> Any:
    """Load installs that turn, return, turn again, never had a license, or always had one."""
    migrate(engine)
    names = {what: someone() for what in ("turned", "returned", "never", "always", "long ago")}
    rows = [
        *reports(names["turned"], "licensed", [9, 8, 7]), *reports(names["turned"], "unlicensed", [6, 5]),
        *reports(names["returned"], "licensed", [9, 4]), *reports(names["returned"], "expired", [7, 6]),
        *reports(names["never"], "unlicensed", [9, 8]),
        *reports(names["always"], "licensed", [9, 8]),
        *reports(names["long ago"], "licensed", [399, 398]), *reports(names["long ago"], "unlicensed", [397]),
    ]  # fmt: skip
    for number, row in enumerate(rows):
        insert_batch(engine, "license", f"row {number}", [row])
    wait_for(lambda: engine.query("SELECT uniqExact(install) FROM license_sources_by_month") == [(5,)], "all replicas")
    return {name(install): what for what, install in names.items()}, whole_modules.turns(engine, NOW)


@pytest.mark.parametrize("kind", ENGINES)
def test_turns_are_known_by_day(kind: str, tmp_path: Path) -> None:
    """An install that lost its license, and one that got it back; and how many installs the module has."""
    names, (turns, installs) = done_in(kind, tmp_path, known)
    named = {names[turn.install]: turn for turn in turns["invoice_pro"]}
    assert named == {
        "turned": Turn(day(6), named["turned"].install),
        "returned": Turn(day(7), named["returned"].install, day(4)),
    }
    assert installs == {"invoice_pro": 4}


def by_version(engine: Engine, home: Home) -> Any:
    """Load installs of two versions, and what a loader of the version before inserted."""
    migrate(engine)
    rows = [row for _ in range(4) for row in reports(someone(), "licensed", [5, 4, 3])]
    rows += reports(someone(), "licensed", [5, 4, 3], {})
    first, later = reports((lost := someone()), "licensed", [6, 5]), reports(lost, "licensed", [2], {})
    rows += [*first, *later]
    rows += reports(someone(), "licensed", [2])  # once is not enough
    rows += reports(someone(), "licensed", [50, 45])  # too long ago
    rows += reports(someone(), "licensed", [6, 3], version="3.3.0")
    rows += reports(someone(), "unlicensed", [6, 3], version="3.3.0")
    invented = [msgspec.json.decode(row) for _ in range(9) for row in reports(someone(), "licensed", [4, 3, 2, 0])]
    rows += [encode({**row, "received": int(row["time"] > f"{NOW:%Y-%m-%d}")}) for row in invented]  # all posted today
    insert_batch(engine, "license", "rows", rows)
    months = {f"{day(ago):%Y-%m-01}": 0 for ago in (6, 3)}
    for ago in (6, 3):
        months[f"{day(ago):%Y-%m-01}"] |= 1 << day(ago).day - 1
    for month, bits in months.items():
        engine.command(
            "INSERT INTO license_sources_by_month (module, install, month, version, license_status, days) "
            f"VALUES ('invoice_pro', 1, '{month}', '3.3.0', 'licensed', {bits})"
        )
    wait_for(lambda: engine.query("SELECT uniqExact(install) FROM license_sources_by_month") == [(20,)], "all replicas")
    return whole_modules.cohorts(engine, NOW)


@pytest.mark.parametrize("kind", ENGINES)
def test_who_sends_a_key_is_known_by_version(kind: str, tmp_path: Path) -> None:
    """By the latest licensed report. Of what was counted before this was recorded, it is not told.

    Days that posts of one moment state do not count.
    """
    cohorts = done_in(kind, tmp_path, by_version)
    assert cohorts == {
        ("invoice_pro", "3.2.1"): Cohort(6, 4, 0),
        ("invoice_pro", "3.3.0"): Cohort(1, 1, 1),
    }
    assert Cohort(1, 1, 1).is_told
    assert not Cohort(1, 1, 2).is_told
