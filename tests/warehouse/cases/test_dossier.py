"""What a case says of its installs: what they reported, who else has their key, and what changed when."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from collector.planes import Planes, encode
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url
from tests.warehouse.cases.test_listing import flag, raise_flags
from tests.warehouse.engines import engine_at
from tests.warehouse.queries.test_licensing import load, without_key
from warehouse.cases.dossier import Dossier, dossier
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.migrate import migrate

PLANES = Planes(b"root secret of the tests")
NOW = datetime.now(UTC).replace(microsecond=0)
MODULE = "invoice_pro"


def report(number: int, days: int, address: str, *, hours: int = 0, status: str = "licensed", key: str = "ab") -> bytes:
    """Return the license row of an install, some days and hours ago."""
    sent = NOW - timedelta(days=days, hours=hours)
    license = {"status": status, "source": "whmcs", **({"key_hash": key * 32} if key else {})}
    id = str(uuid.UUID(int=number, version=4))
    one = beacon(install_id=id, sent_at=sent.isoformat(), license=license)
    return encode(PLANES.split(one, address, NOW, keep_date=True).license)


def pseudonyms(numbers: list[int]) -> list[int]:
    """Return the pseudonyms of installs in the license plane."""
    return [
        PLANES.split(beacon(install_id=str(uuid.UUID(int=number, version=4))), "203.0.113.9", NOW).license["install"]
        for number in numbers
    ]


@pytest.fixture(scope="module")
def key() -> int:
    license = {"status": "licensed", "source": "whmcs", "key_hash": "ab" * 32}
    return int(PLANES.split(beacon(license=license), "203.0.113.9", NOW).license["key"])


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: int) -> Iterator[Engine]:
    """Install 1 was licensed and is not any more; it shares its key with 2 and 3, of which 2 is in question."""
    engine = engine_at(clickhouse_url(request.param), tmp_path_factory.mktemp("home"))
    migrate(engine)
    batches = [
        [report(1, 40, "203.0.113.9"), report(2, 9, "198.51.100.7"), report(3, 20, "192.0.2.1")],
        [report(1, 5, "203.0.113.9"), report(1, 5, "203.0.113.9", hours=-1, status="unlicensed", key="")],
        [report(1, 4, "198.51.100.7", status="unlicensed", key=""), report(2, 1, "198.51.100.7")],
    ]
    load(engine, {str(number): rows for number, rows in enumerate(batches)})
    one, two = pseudonyms([1, 2])
    shared = flag(two, "shared_key", key=key, reach=3)
    longer = flag(one, event="changed", revision=2, at=NOW, why="changed: the number of days")
    raise_flags(engine, [flag(one), longer, shared], "flags")
    yield engine
    engine.close()


def texts(known: Dossier) -> list[tuple[str, datetime]]:
    return [(event.text, event.at) for event in reversed(known.events) if event.kind == "report"]


def test_an_install_is_told_with_what_changed(engine: Engine) -> None:
    """Its latest report, and each change in order, with the time of its report. A network is new for 30 days."""
    (one,) = pseudonyms([1])
    known = dossier(engine, Subject(MODULE, one, 0))
    (install,) = known.installs
    assert (install.install, install.status, install.key) == (one, "unlicensed", 0)
    assert (install.first_seen, install.last_seen) == (NOW - timedelta(days=40), NOW - timedelta(days=4))
    assert known.others == []
    told = texts(known)
    key = told[0][0].rpartition(" ")[2]
    assert told == [
        (f"Reported licensed, version 3.2.1, source whmcs, key {key}", NOW - timedelta(days=40)),
        ("First connection from the network 203.0.0.0/16 in 30 days", NOW - timedelta(days=5)),
        (f"Status licensed → unlicensed, key {key} → no key", NOW - timedelta(days=5) + timedelta(hours=1)),
        ("First connection from the network 198.51.0.0/16 in 30 days", NOW - timedelta(days=4)),
    ]


def test_a_change_of_a_flag_is_told_once(engine: Engine) -> None:
    """With what has changed."""
    (one,) = pseudonyms([1])
    told = [event.text for event in dossier(engine, Subject(MODULE, one, 0)).events if event.kind == "flag"]
    assert told == ["Flag unlicensed changed: the number of days", "Flag unlicensed raised"]


def test_a_key_is_told_with_all_who_had_it(engine: Engine, key: int) -> None:
    """The install in question, and the others that ever reported the key, the first seen first."""
    one, two, three = pseudonyms([1, 2, 3])
    known = dossier(engine, Subject(MODULE, 0, key))
    assert [each.install for each in known.installs] == [two]
    assert [each.install for each in known.others] == [one, three]
    assert known.cases == {one}
    assert known.users == "3"
    assert known.unreadable == ""


def test_without_the_key_of_states_the_rest_is_told(engine: Engine, key: int) -> None:
    """Flags and registry do not need it. What is missing is said once, with the setting that would help."""
    known = dossier(without_key(engine), Subject(MODULE, 0, key))
    assert "PHAROS_STATES_KEY" in known.unreadable
    assert [each.rule for each in known.flags] == ["shared_key"]
    assert known.registered == {key: None}
    assert (known.installs, known.others, texts(known), known.measured) == ([], [], [], "")
