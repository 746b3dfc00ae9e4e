"""A database belongs to the key of one root secret: the first loader records it, and another home loads nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.home import Home
from core.settings import Settings
from tests.end_to_end.system import ENGINES, clickhouse_url
from tests.warehouse.engines import engine_at
from warehouse.engine import Engine
from warehouse.licensing import state_rows, states_key
from warehouse.licensing.state_codec import OtherKey, Seal, Unreadable
from warehouse.licensing.states import NOWHERE, Report, State, of_report
from warehouse.migrate import migrate

REPORT = Report("licensed", 7, "whmcs-addon-modules", "3.2.1", True, "DE")
NOW = int(datetime.now(UTC).timestamp())
OWN, OTHER = Seal.of_root(b"own"), Seal.of_root(b"another")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = engine_at(clickhouse_url(request.param), tmp_path)
    migrate(engine)
    having(engine, OWN)
    yield engine
    engine.close()


def having(engine: Engine, seal: Seal) -> None:
    """Give an engine the key of another home."""
    engine.__dict__["seal"] = seal


def fill(engine: Engine, seal: Seal, installs: range) -> None:
    """Insert a state of each install, sealed by a version that compared no keys."""
    states: dict[tuple[str, int], State] = {("invoice_pro", each): of_report(NOW, REPORT, NOWHERE) for each in installs}
    having(engine, seal)
    state_rows.insert(engine, states, f"{seal.fingerprint} {installs}")
    having(engine, OWN)


def test_the_first_key_is_recorded_and_another_one_refused(engine: Engine) -> None:
    """The same key passes again. A refused home changes nothing and is told what to set."""
    states_key.require(engine)
    states_key.claim(engine)
    states_key.claim(engine)
    having(engine, OTHER)
    for refuse in (states_key.require, states_key.claim):
        with pytest.raises(OtherKey, match=f"in the database {engine.database} .* PHAROS_SECRET must be"):
            refuse(engine)
    having(engine, OWN)
    states_key.require(engine)
    assert engine.query("SELECT fingerprint FROM license_states_key") == [(OWN.fingerprint,)]


def test_of_two_homes_at_the_same_time_one_is_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one has read that no key is recorded before the first one records its own."""
    states_key.claim(engine)
    having(engine, OTHER)
    recorded = states_key.recorded
    answers = iter([""])
    monkeypatch.setattr(states_key, "recorded", lambda engine: next(answers, None) or recorded(engine))
    with pytest.raises(OtherKey):
        states_key.claim(engine)
    assert next(answers, None) is None
    assert engine.query("SELECT fingerprint FROM license_states_key") == [(OWN.fingerprint,)]


def test_a_database_of_an_earlier_version_belongs_to_who_can_read_it(engine: Engine) -> None:
    """Also if some of its states are of another home, which is refused and records nothing."""
    fill(engine, OWN, range(8))
    fill(engine, OTHER, range(8, 10))
    having(engine, OTHER)
    states_key.require(engine)
    with pytest.raises(OtherKey):
        states_key.claim(engine)
    assert not states_key.recorded(engine)
    having(engine, OWN)
    states_key.claim(engine)
    assert states_key.recorded(engine) == OWN.fingerprint


def test_a_database_that_is_not_there_belongs_to_nobody(tmp_path: Path) -> None:
    """Neither that nor a process without the key is a reason to refuse."""
    engine = engine_at("", tmp_path)
    states_key.require(engine)
    migrate(engine)
    states_key.claim(engine)
    states_key.forget(engine)
    assert not states_key.recorded(engine)
    engine.close()


@pytest.mark.server
def test_who_has_no_key_may_migrate_and_records_none(tmp_path: Path) -> None:
    """`pharos migrate` on a machine without the collector's home knows no key."""
    url = clickhouse_url("server")
    engine = engine_at(url, tmp_path)
    migrate(engine)
    states_key.claim(engine)
    settings = Settings(clickhouse_url=url, clickhouse_cluster=engine.cluster)
    keyless = Engine(settings, Home(tmp_path / "elsewhere"))
    states_key.require(keyless)
    with pytest.raises(Unreadable, match=r"states\.key is missing"):
        states_key.claim(keyless)
    keyless.close()
    engine.close()
