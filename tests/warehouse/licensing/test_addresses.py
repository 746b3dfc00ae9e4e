"""Whether most installs report from one address, which `pharos doctor` warns of."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse.engine import Engine
from warehouse.licensing import addresses
from warehouse.licensing.addresses import Concentration, concentration
from warehouse.migrate import migrate

PLANES = Planes(b"root secret of the tests")
NOW = datetime.now(UTC)


def reports(address: str, count: int, days: int = 1) -> list[bytes]:
    """Return the license rows of new installs with this address, of some days ago."""
    sent_at = (NOW - timedelta(days=days)).isoformat()
    return [encode(PLANES.split(beacon(sent_at=sent_at), address, NOW, keep_date=True).license) for _ in range(count)]


def told(engine: Engine, home: Home) -> list[Concentration]:
    """Ask with no beacon, with as many behind the proxy as elsewhere, with more, and when only a sample is read."""
    migrate(engine)
    found = [concentration(engine)]
    elsewhere = [row for number in range(15) for row in reports(f"203.0.113.{number}", 1)]
    old = [*reports("198.51.100.7", 9, days=12), *reports("", 9)]
    insert_batch(engine, "license", "first", [*reports("198.51.100.7", 15), *elsewhere, *old])
    found.append(concentration(engine))
    insert_batch(engine, "license", "second", reports("198.51.100.7", 1))
    insert_batch(engine, "license", "third", reports("198.51.100.7", 60))
    found.append(concentration(engine))
    addresses.MOST, most = 70, addresses.MOST
    try:
        return [*found, concentration(engine)]
    finally:
        addresses.MOST = most


@pytest.mark.parametrize("kind", ENGINES)
def test_a_proxy_is_suspected_when_most_installs_have_its_address(kind: str, tmp_path: Path) -> None:
    """Of the last seven days, by the address of the connection. Of many installs a random sample tells as much."""
    nothing, half, most, sample = done_in(kind, tmp_path, told)
    assert (nothing, nothing.suspicious) == (Concentration(0, 0), False)
    assert (half, half.suspicious) == (Concentration(30, 15), False)
    assert (most, most.suspicious) == (Concentration(91, 76), True)
    assert sample.largest < sample.installs <= 70
    assert sample.suspicious
