"""Whoever posts days of a week within one moment accuses nobody: what the flags say of such days is a claim."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.license_rows import LicenseRows
from collector.license_rows import encode as encode_row
from collector.loader import Loader
from collector.planes import Planes
from collector.spool import Row, Spool
from core.catalog import Catalog
from core.home import Home
from core.settings import Settings
from tests.end_to_end.beacons import beacon
from tests.licensing.measure import finish
from warehouse.engine import Engine
from warehouse.licensing.judge import Judge
from warehouse.migrate import migrate

SECRET = b"root secret of the tests"
PLANES = Planes(SECRET)
NOW = datetime.now(UTC).replace(hour=12)
KEY = "ab" * 32


def posts(module: str, days: int, key: str = "", networks: int = 1, number: int = 0) -> list[Row]:
    """Return the rows of an install that posts, in one moment, a beacon of each of so many days from each network."""
    license = {"status": "licensed", "source": "whmcs", **({"key_hash": key} if key else {})}
    id = str(uuid.uuid4())
    return [
        PLANES.split(
            beacon(
                install_id=id,
                sent_at=(NOW - timedelta(days=ago)).isoformat(),
                license=license,
                module={"name": module, "version": "3.2.1"},
            ),
            f"203.{network}.{number}.9",
            NOW,
        ).row()
        for ago in range(days + 1)
        for network in range(networks)
    ]


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[tuple[str, str]]]]:
    """The flags by rule, each as its grade and its severity."""
    folder: Path = tmp_path_factory.mktemp("home")
    home = Home(folder)
    engine = Engine(Settings(home=folder), home)
    migrate(engine)
    spool = Spool(folder / "spool.sqlite")
    loader = Loader(spool, engine, judge=Judge(engine, Settings(), Catalog, clock=NOW.timestamp))
    row = {"key_hash": KEY, "module": "invoice_pro", "state": "active", "max_installs": 1}
    spool.store_licenses([encode_row(LicenseRows(SECRET).row(row, NOW - timedelta(days=90)))])
    rows = [row for n in range(20) for row in posts("ticket_ai", 4, f"{n:064x}")] + posts("ticket_ai", 3)
    rows += [row for n, days in enumerate((4, 6, 6)) for row in posts("invoice_pro", days, KEY, number=n)]
    rows += posts("domain_tools", 4, "cd" * 32, networks=3)
    spool.store(rows, NOW.timestamp())
    finish(loader)
    found: dict[str, set[tuple[str, str]]] = {}
    for rule, grade, severity in engine.query(
        "SELECT rule::String, grade::String, severity::String FROM license_flags"
    ):
        found.setdefault(rule, set()).add((grade, severity))
    yield found
    spool.close()
    engine.close()


def test_twenty_invented_installs_do_not_make_a_version_that_sends_keys(flags: dict[str, set[tuple[str, str]]]) -> None:
    """The honest one without a key, which sends its reports of three days later, has no flag."""
    assert "missing_key" not in flags


def test_a_key_is_shared_and_an_install_cloned_by_their_own_account(flags: dict[str, set[tuple[str, str]]]) -> None:
    """One step less severe, and self-reported."""
    assert flags == {"shared_key": {("claimed", "warning")}, "cloned_install": {("claimed", "warning")}}
