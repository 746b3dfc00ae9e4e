"""License reports become sealed states: with each batch, once for those from before, and one row by a daily pass."""

import base64
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector import sealed_reports
from collector.batch_insert import insert_batch
from collector.judging import Judging
from collector.loader import Loader
from collector.planes import Planes, encode
from collector.sealed_reports import fill, states
from collector.spool import Spool
from core.catalog import Catalog
from core.settings import Settings
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url, wait_for
from tests.warehouse.engines import engine_at
from warehouse import install_data
from warehouse.engine import ContentError, Engine, EngineError
from warehouse.licensing import state_rows, states_key
from warehouse.licensing.judge import Judge
from warehouse.licensing.state_codec import LEAST
from warehouse.licensing.state_codec import encode as encoded
from warehouse.licensing.state_rows import ReadRows
from warehouse.licensing.states import SOME_TIME, State, trimmed
from warehouse.migrate import migrate

PLANES = Planes(b"root secret of the tests")
NOW = datetime.now(UTC).replace(microsecond=0)
INSTALLS = [str(uuid.UUID(int=number, version=4)) for number in range(5)]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = engine_at(clickhouse_url(request.param), tmp_path)
    migrate(engine)
    yield engine
    engine.close()


def reports(days: Sequence[int], address: str = "203.0.113.9", *, late: bool = False) -> list[bytes]:
    """Return the license rows of all installs on some days ago, received on these days or now."""
    return [
        encode(
            PLANES.split(beacon(install_id=install, sent_at=sent.isoformat()), address, NOW, keep_date=not late).license
        )
        for install in INSTALLS
        for sent in (NOW - timedelta(days=day) for day in days)
    ]


def said(rows: Sequence[bytes]) -> dict[Any, bytes]:
    return {pair: encoded(trimmed(state, NOW)) for pair, state in states(rows).items()}


def stored(engine: Engine, rows: Sequence[bytes]) -> dict[Any, bytes]:
    """Return what ClickHouse holds of the installs of these rows."""
    found: dict[Any, State] = state_rows.read(engine, list(states(rows)))
    return {pair: encoded(trimmed(state, NOW)) for pair, state in found.items()}


def count(engine: Engine, condition: str = "1", table: str = state_rows.TABLE) -> int:
    return int(engine.query(f"SELECT count() FROM {table} WHERE {condition}")[0][0])


def sizes(engine: Engine) -> set[int]:
    """Return the sizes of all sealed states: nonce, padded state, tag."""
    return {len(base64.b64decode(sealed)) for (sealed,) in engine.query(f"SELECT sealed FROM {state_rows.TABLE}")}


def insert_as_before(engine: Engine, rows: Sequence[bytes]) -> None:
    """Insert sightings as a loader without states does."""
    lines = []
    for line in rows:
        row = msgspec.json.decode(line)
        row.pop("source_install")
        lines.append(encode(row))
    engine.of("license_sightings").insert("license_sightings", lines, str(uuid.uuid4()))


def test_a_batch_becomes_a_row_for_each_install(engine: Engine, tmp_path: Path) -> None:
    """What the loader has loaded is in states and not in clear, also when a batch is sent again."""
    spool = Spool(tmp_path / "spool")
    now = NOW.timestamp()
    for day in (3, 2, 1):
        split = [
            PLANES.split(
                beacon(install_id=install, sent_at=(NOW - timedelta(days=day)).isoformat()), "203.0.113.9", NOW
            )
            for install in INSTALLS
        ]
        spool.store([each.row() for each in split], now)
        batch = spool.seal(1000)
        assert batch is not None
        insert_batch(engine, "license", str(batch.id("license")), spool.rows(batch, "license"))
        Loader(spool, engine).load(batch)
    assert stored(engine, reports([3, 2, 1])) == said(reports([3, 2, 1], late=True))
    assert count(engine, "1", "license_sightings") == count(engine, "1", "sightings_by_install") == 0
    assert count(engine) <= 6 * len(INSTALLS)
    assert sizes(engine) == {12 + 256 + 16}, "a report of a batch takes little room"
    fill(engine)
    assert count(engine) <= 6 * len(INSTALLS)
    spool.close()


def test_what_was_loaded_before_is_sealed_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sightings, in portions. A kill in between repeats it, and afterwards nothing is in clear any more."""
    before = reports([40, 20, 2])
    insert_as_before(engine, before)
    monkeypatch.setattr(sealed_reports, "PORTION", 2)
    insert = state_rows.insert
    portions: list[int] = []

    def fails(engine: Engine, states: dict[Any, State], token: str, *more: int) -> None:
        if portions:
            raise EngineError("killed")
        portions.append(len(states))
        insert(engine, states, token, *more)

    monkeypatch.setattr(state_rows, "insert", fails)
    with pytest.raises(EngineError, match="killed"):
        fill(engine)
    monkeypatch.setattr(state_rows, "insert", insert)
    noted: list[str] = []
    fill(engine, noted.append)
    assert noted[0] == "sealing 15 license reports"
    assert noted[-1] == "sealed the license reports of 5 installs"
    assert stored(engine, before) == said(before)
    assert count(engine, "1", "license_sightings") == count(engine, "1", "sightings_by_install") == 0
    fill(engine, noted.append)
    assert len(noted) == 4
    later = reports([1])
    insert_as_before(engine, later)
    fill(engine)
    assert stored(engine, before) == said([*before, *later])


def test_what_an_old_loader_inserts_meanwhile_is_sealed_later(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not deleted before."""
    before, meanwhile = reports([40, 2]), reports([1])
    insert_as_before(engine, before)
    insert = state_rows.insert

    def beside(engine: Engine, states: dict[Any, State], token: str, *more: int) -> None:
        insert_as_before(engine, meanwhile)
        insert(engine, states, token, *more)

    monkeypatch.setattr(state_rows, "insert", beside)
    fill(engine)
    monkeypatch.setattr(state_rows, "insert", insert)
    assert {*engine.query("SELECT DISTINCT toDate(time) FROM license_sightings")} == {
        ((NOW - timedelta(days=1)).date(),)
    }
    fill(engine)
    assert count(engine, "1", "license_sightings") == 0
    assert stored(engine, before) == said([*before, *meanwhile])


def judging(engine: Engine, folder: Path) -> Judging:
    spool = Spool(folder / "spool")
    return Judging(spool, engine, Judge(engine, Settings(), Catalog))


def pass_over(engine: Engine, folder: Path) -> None:
    one = judging(engine, folder)
    wait_for(lambda: not one.step(()) and not one.passing, "the pass")


def age(engine: Engine, hours: int) -> None:
    """Make all rows as old as if they had been written so many hours ago."""
    written = (datetime.now(UTC) - timedelta(hours=hours)).replace(minute=0, second=0)
    engine.command(
        f"ALTER TABLE {engine.altered(state_rows.TABLE)} UPDATE written = '{written:%Y-%m-%d %H:%M:%S}' WHERE 1",
        {"mutations_sync": 2},
    )


def settled(engine: Engine) -> None:
    wait_for(lambda: not install_data.deleting(engine), "the deletion")


def test_a_pass_writes_one_row_for_each_install(engine: Engine, tmp_path: Path) -> None:
    """In place of those that it has read. It leaves out addresses of more than 30 days and reports of 13 months."""
    everything = reports([500, 40, 20, 2])
    for day in (500, 40, 20, 2):
        insert_batch(engine, "license", f"day {day}", reports([day]))
    assert count(engine) == 4 * len(INSTALLS)
    pass_over(engine, tmp_path)
    assert count(engine) == 4 * len(INSTALLS), "nothing is a day old"
    age(engine, 24)
    pass_over(engine, tmp_path)
    settled(engine)
    assert count(engine) == len(INSTALLS)
    assert sizes(engine) == {12 + LEAST + 16}, "and what it was merged into shows no number of days"
    assert count(engine, "written < now() - INTERVAL 3 HOUR") == 0
    assert stored(engine, everything) == said(everything)
    (state, *_) = state_rows.read(engine, list(states(everything))).values()
    kept = {place.ip: sorted(NOW.timestamp() // 86400 - day for day in days) for (_, place), days in state.seen.items()}
    assert kept == {"": [40], "203.0.113.9": [2, 20]}


def test_what_a_clock_ahead_wrote_is_written_anew_without_its_addresses(engine: Engine, tmp_path: Path) -> None:
    """When the clock is right again: nobody knows how old an address of a day that has not come is."""
    ahead = timedelta(days=60)
    right, wrong = reports([20]), reports([-60])
    insert_batch(engine, "license", "right", right)
    insert_batch(engine, "license", "wrong", wrong)
    age(engine, -int(ahead.total_seconds()) // 3600)
    pass_over(engine, tmp_path)
    settled(engine)
    assert count(engine) == len(INSTALLS)
    assert count(engine, "written > now()") == 0
    (state, *_) = state_rows.read(engine, list(states(right))).values()
    kept = {place.ip: sorted(NOW.timestamp() // 86400 - day for day in days) for (_, place), days in state.seen.items()}
    assert kept == {"": [-60], "203.0.113.9": [20]}


def test_a_pass_deletes_nothing_that_a_clock_ahead_writes_meanwhile(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not read that."""
    before, during = reports([20]), reports([1])
    insert_batch(engine, "license", "before", before)
    age(engine, -48)
    delete = state_rows.delete

    def beside(engine: Engine, read: ReadRows, unreadable: Any) -> None:
        age(engine, -72)
        insert_batch(engine, "license", "during", during)
        delete(engine, read, unreadable)

    monkeypatch.setattr(state_rows, "delete", beside)
    pass_over(engine, tmp_path)
    settled(engine)
    assert stored(engine, before) == said([*before, *during])


def test_what_a_restriction_seals_says_what_the_states_say(engine: Engine) -> None:
    """Also of days whose time is not kept any more: they come back without it."""
    made = {pair: trimmed(state, NOW) for pair, state in states(reports(range(28, 60))).items()}
    for state in made.values():
        assert SOME_TIME in {number for days in state.seen.values() for number in days.values()}
    state_rows.insert(engine, made, "of a pass")
    for pair, state in made.items():
        rows = [encode(row) for row in sealed_reports.rows(engine, pair[1])]
        assert states(rows) == {pair: state}


def test_a_pass_that_is_killed_loses_and_doubles_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its writing and its deletion; and what arrives meanwhile stays."""
    before, during = reports([20, 2]), reports([1])
    insert_batch(engine, "license", "before", before)
    age(engine, 24)
    delete = state_rows.delete

    def killed(engine: Engine, read: ReadRows, unreadable: object) -> None:
        raise EngineError("killed")

    monkeypatch.setattr(state_rows, "delete", killed)
    judging(engine, tmp_path).step(())
    assert stored(engine, before) == said(before)
    insert_batch(engine, "license", "during", during)
    monkeypatch.setattr(state_rows, "delete", delete)
    pass_over(engine, tmp_path)
    settled(engine)
    assert stored(engine, before) == said([*before, *during])
    assert count(engine, "written < now() - INTERVAL 3 HOUR") == 0


def test_a_pass_writes_nothing_of_an_install_that_is_being_erased(engine: Engine, tmp_path: Path) -> None:
    """Or of one whose pseudonym was retired by another loader: its rows only go."""
    rows = reports([2])
    insert_batch(engine, "license", "rows", rows)
    age(engine, 24)
    (_, leaving), (_, retired), *others = sorted(states(rows))
    table = "retired_license_installs"
    engine.of(table).insert(table, [encode({"install": retired})], "one")
    one = judging(engine, tmp_path)
    wait_for(lambda: not one.step([leaving]) and not one.passing, "the pass")
    settled(engine)
    assert state_rows.read(engine, list(states(rows))).keys() == {*others}


def test_an_erasure_by_another_loader_during_the_pass_leaves_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It retires the pseudonym and deletes the rows between the pass's reading and writing."""
    rows = reports([2])
    insert_batch(engine, "license", "rows", rows)
    age(engine, 24)
    (erased, *others) = sorted(states(rows))
    insert = state_rows.insert

    def beside(engine_of_pass: Engine, states: dict[Any, State], token: str, *more: int) -> None:
        table = "retired_license_installs"
        engine.of(table).insert(table, [encode({"install": erased[1]})], "one")
        install_data.delete(engine, {state_rows.TABLE: [erased[1]]}, wait=True)
        insert(engine_of_pass, states, token, *more)

    monkeypatch.setattr(state_rows, "insert", beside)
    pass_over(engine, tmp_path)
    settled(engine)
    assert state_rows.read(engine, list(states(rows))).keys() == {*others}


def test_the_wrong_key_is_named(engine: Engine) -> None:
    """Who has another key reads nothing and is told which key it is about."""
    rows = reports([2])
    insert_batch(engine, "license", "rows", rows)
    engine.__dict__["seal"] = type(engine.seal).of_root(b"another")
    with pytest.raises(EngineError, match=r"sealed under another key: .* PHAROS_STATES_KEY must be set"):
        state_rows.read(engine, list(states(rows)))


def test_a_report_that_cannot_be_read_stops_nothing(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out and counted, stays for 30 days, and can be erased. The pass writes all others anew."""
    states_key.claim(engine)
    rows = reports([2])
    insert_batch(engine, "license", "rows", rows)
    (foreign, both, *others) = sorted(states(rows))
    own = engine.seal
    engine.__dict__["seal"] = type(own).of_root(b"another")
    kept = {pair: state for pair, state in states(reports([3])).items() if pair in (foreign, both)}
    state_rows.insert(engine, kept, "of another home")
    engine.__dict__["seal"] = own
    unreadable: set[state_rows.Pair] = set()
    read = state_rows.read(engine, list(states(rows)), unreadable)
    assert {pair: encoded(trimmed(state, NOW)) for pair, state in read.items()} == said(rows)
    assert unreadable == {foreign, both}

    age(engine, 24)
    pass_over(engine, tmp_path)
    settled(engine)
    assert stored(engine, rows) == said(rows)
    of_others = ", ".join(str(install) for _, install in others)
    assert count(engine, f"written < now() - INTERVAL 3 HOUR AND install IN ({of_others})") == 0
    assert count(engine, f"written < now() - INTERVAL 3 HOUR AND install = {foreign[1]}") == 2
    assert "license reports of 2 installs cannot be read" in caplog.text
    assert Spool(tmp_path / "spool").unreadable() == 2

    install_data.erase(engine, {"license": [both[1]]})
    assert count(engine, f"install = {both[1]}") == 0
    age(engine, 31 * 24)
    pass_over(engine, tmp_path)
    settled(engine)
    unreadable.clear()
    assert state_rows.read(engine, list(states(rows)), unreadable).keys() == {foreign, *others}
    assert not unreadable


def test_an_install_that_was_erased_is_not_sealed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither before, nor by another loader while its sightings are sealed."""
    rows = reports([2])
    insert_as_before(engine, rows)
    (_, before), (_, during), *others = sorted(states(rows))
    table = "retired_license_installs"
    engine.of(table).insert(table, [encode({"install": before})], "one")
    insert = state_rows.insert

    def beside(engine_of_fill: Engine, states: dict[Any, State], token: str, *more: int) -> None:
        engine.of(table).insert(table, [encode({"install": during})], "two")
        insert(engine_of_fill, states, token, *more)

    monkeypatch.setattr(state_rows, "insert", beside)
    fill(engine)
    settled(engine)
    assert state_rows.read(engine, list(states(rows))).keys() == {*others}
    keys = {install for (install,) in engine.query("SELECT DISTINCT install FROM license_keys")}
    assert keys >= {install for _, install in others}
    assert during not in keys


def test_a_status_stays_known_for_longer_than_its_reports(engine: Engine) -> None:
    """When each was first reported comes along from the version before."""
    rows = reports([40])
    insert_as_before(engine, rows)
    first = (NOW - timedelta(days=700)).replace(tzinfo=None)
    engine.synchronize("sightings_by_install")
    engine.command(
        "INSERT INTO sightings_by_install SELECT module, install, status, toDateTime64("
        f"'{first}', 3, 'UTC'), last_seen, latest FROM sightings_by_install"
    )
    fill(engine)
    for state in state_rows.read(engine, list(states(rows))).values():
        assert state.since == {"licensed": first.replace(tzinfo=UTC).timestamp()}


def test_the_loader_refuses_a_row_that_it_cannot_seal() -> None:
    """As ClickHouse would, so that the row is put aside alone."""
    (row, *_) = reports([1])
    for wrong in ({"time": "yesterday"}, {"install": -1}, {"key": 1 << 64}, {"status": None}):
        with pytest.raises(ContentError):
            states([encode({**msgspec.json.decode(row), **wrong})])
    with pytest.raises(ContentError):
        states([b"{"])


def test_keys_have_the_day_of_their_insert(engine: Engine, tmp_path: Path) -> None:
    """Also those of the version before, and those of a report that is old. A pass writes them anew."""
    insert_batch(engine, "license", "rows", reports([40]))
    insert_as_before(engine, reports([30]))
    fill(engine)
    today = [(datetime.combine(NOW.date(), datetime.min.time()), len(INSTALLS))]
    latest = "SELECT last_seen, uniqExact(install) FROM license_keys GROUP BY last_seen"
    assert engine.query(latest) == today
    age(engine, 24)
    engine.command(
        f"ALTER TABLE {engine.altered(state_rows.KEYS)} UPDATE last_seen = last_seen - INTERVAL 1 DAY WHERE 1",
        {"mutations_sync": 2},
    )
    pass_over(engine, tmp_path)
    assert engine.query(f"SELECT uniqExact(install) FROM license_keys WHERE last_seen = '{NOW:%Y-%m-%d} 00:00:00'") == [
        (len(INSTALLS),)
    ]
