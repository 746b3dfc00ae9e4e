"""The list of installs: what they reported last, found by unsealing a bounded number of them."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url
from tests.warehouse.cases.test_listing import flag, raise_flags
from tests.warehouse.engines import engine_at
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.state_codec import Unreadable
from warehouse.migrate import migrate
from warehouse.queries import license_flags, licensing

PLANES = Planes(b"root secret of the tests")
NOW = datetime.now(UTC).replace(microsecond=0)
INSTALLS = 30
RARE = 10  # one in so many is unlicensed
Row = dict[str, Any]


def report(number: int, status: str, days: int, address: str = "203.0.113.9", **changes: Any) -> bytes:
    """Return the license row of an install, some days ago."""
    sent = NOW - timedelta(days=days)
    said = beacon(
        install_id=str(uuid.UUID(int=number, version=4)),
        sent_at=sent.isoformat(),
        license={"status": status, "source": "whmcs"},
    )
    return encode(PLANES.split({**said, **changes}, address, NOW, keep_date=True).license)


def status_of(number: int) -> str:
    return "licensed" if number % RARE else "unlicensed"


def load(engine: Engine, batches: Mapping[str, list[bytes]]) -> None:
    """Insert rows of the license plane. On a cluster, wait until each replica has them."""
    for name, rows in batches.items():
        insert_batch(engine, "license", name, rows)
    if engine.cluster:
        for table in (state_rows.TABLE, "license_keys"):
            name, _, cluster = engine.altered(table).partition(" ON CLUSTER ")
            engine.command(f"SYSTEM SYNC REPLICA ON CLUSTER {cluster} {engine.database}.{name}")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Installs that reported `trial` once, and then what `status_of` says."""
    engine = engine_at(clickhouse_url(request.param), tmp_path_factory.mktemp("home"))
    migrate(engine)
    load(engine, {
        f"{days} days": [report(number, status_of(number) if last else "trial", days) for number in range(INSTALLS)]
        for days, last in ((40, False), (3, True), (2, True))
    })  # fmt: skip
    yield engine
    engine.close()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request unseals at most seven installs."""
    monkeypatch.setattr(licensing, "MOST_UNSEALED", 7)


def without_key(engine: Engine) -> Engine:
    """Return the engine of a part that has another key than the loader."""
    other = Engine.__new__(Engine)
    other.__dict__.update({name: value for name, value in engine.__dict__.items() if name != "seal"})
    other._key_of_states = lambda: bytes(32)  # type: ignore[assignment]
    return other


def pages(engine: Engine, **args: str) -> list[list[Row]]:
    """Return all pages of a question."""
    found: list[list[Row]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = licensing.installs(engine, {**args, "cursor": cursor}, seconds=True)
        found.append(answer["rows"])
        cursor = answer.get("next_cursor")
    return found


def ids(found: list[list[Row]]) -> list[str]:
    return [row["id"] for page in found for row in page]


def test_a_row_is_the_latest_report(engine: Engine) -> None:
    """With the first and the last time, whatever batch had them."""
    (rows,) = pages(engine)
    assert len(rows) == INSTALLS
    assert sorted(row["status"] for row in rows) == sorted(map(status_of, range(INSTALLS)))
    for row in rows:
        assert row["first_seen"] == f"{NOW - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"
        assert row["last_seen"] == f"{NOW - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
        assert row["ip"] == "203.0.113.9"


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("limit", ["1", "3", "100"])
def test_pages_lead_through_all_installs_once(engine: Engine, limit: str) -> None:
    """In one order, whatever the size of a page, also with a filter that few match."""
    every = pages(engine, limit=limit)
    assert all(len(page) <= int(limit) for page in every)
    assert len(set(ids(every))) == len(ids(every)) == INSTALLS
    assert ids(every) == sorted(ids(every))
    rare = pages(engine, limit=limit, status="unlicensed")
    assert ids(rare) == [row["id"] for page in every for row in page if row["status"] == "unlicensed"]
    assert ids(pages(engine, limit=limit, status="!licensed")) == ids(rare)
    assert ids(pages(engine, limit=limit, status="trial")) == []


@pytest.mark.usefixtures("few")
def test_a_request_unseals_a_bounded_number(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A status that nobody has is not looked for in all installs by one request. The next one goes on."""
    read: list[int] = []
    unsealed = state_rows.read

    def counted(reader: Engine, pairs: Any) -> Any:
        read.append(len(pairs))
        return unsealed(reader, pairs)

    monkeypatch.setattr(state_rows, "read", counted)
    answer = licensing.installs(engine, {"status": "suspended", "limit": "1"})
    assert (answer["rows"], sum(read)) == ([], 7)
    assert len(pages(engine, status="suspended")) == 5
    assert sum(read) == 7 + INSTALLS


@pytest.mark.usefixtures("few")
def test_only_flagged_installs_are_unsealed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known in clear comes first: a filter by flag needs no other install."""
    flagged = sorted(ids(pages(engine)))[::4]
    raise_flags(engine, [flag(int(each, 16)) for each in flagged], "flags")
    asked: list[Any] = []
    unsealed = state_rows.read

    def noted(reader: Engine, pairs: Any) -> Any:
        asked.extend(pairs)
        return unsealed(reader, pairs)

    monkeypatch.setattr(state_rows, "read", noted)
    found = pages(engine, flag="any")
    assert ids(found) == flagged
    assert [f"{install:016x}" for _, install in asked] == flagged
    assert {flag["rule"] for page in found for row in page for flag in row["flags"]} == {"unlicensed"}
    raise_flags(engine, [flag(int(flagged[0], 16), "shared_key", key=9)], "another rule")
    assert license_flags.flags(engine, {"limit": "1"})["installs"] == len(flagged)
    (row, *_), *_ = pages(engine, flag="shared_key")
    assert {each["rule"]: each["case"] for each in row["flags"]} == {
        "unlicensed": f"invoice_pro.install.{flagged[0]}",
        "shared_key": f"invoice_pro.key.{9:016x}",
    }


def test_what_is_too_old_is_not_shown(engine: Engine) -> None:
    """An address for 30 days, a report for 13 months, also before the daily pass has dropped them."""
    module = {"name": "old_one", "version": "1.0"}
    load(engine, {"old": [report(1, "trial", 35, module=module), report(2, "trial", 500, module=module)]})
    ((row,),) = pages(engine, module="old_one")
    assert (row["status"], row["ip"]) == ("trial", None)


def test_without_the_key_nothing_is_read(engine: Engine) -> None:
    """The error says which key is missing; what needs no report still answers."""
    other = without_key(engine)
    with pytest.raises(Unreadable, match=r"PHAROS_STATES_KEY must be set to what is in states\.key"):
        licensing.installs(other, {})
    assert licensing.any_install(other)
