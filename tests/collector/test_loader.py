"""The loader: every beacon in each plane exactly once, whatever breaks in between."""

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

import collector.spool.database
from collector import hour_counts
from collector.batch_insert import TABLES, mark
from collector.compaction import Compactor
from collector.loader import FORGET_SECONDS, Loader
from collector.rights.request_store import RequestStore
from collector.spool import HORIZON_DAYS, Batch, Plane, Spool, Unavailable
from tests.collector.remembered import HandClock
from tests.collector.rows import row, rows
from warehouse import install_data
from warehouse.engine import ContentError, Engine, EngineError
from warehouse.licensing import state_rows
from warehouse.licensing.state_codec import OtherKey, Seal
from warehouse.server_users import ServerUser

NOON = 1_795_348_800.0


class Killed(BaseException):
    """The process ends here."""


class FakeEngine:
    """What the loader asks of ClickHouse: inserts that know their token again, and the usage plane's beacons."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in TABLES.values()}
        self.inserts = 0
        self.told: list[dict[str, Any]] = []
        self.hours: dict[str, list[dict[str, Any]]] = {}
        self.seal = Seal(bytes(32))
        self.wrong_schema = False
        self.embedded = False
        self.raw_days, self.aggregate_months = 35, 25
        self.poison: Callable[[str, dict[str, Any]], bool] = lambda table, row: False
        self.before: Callable[[str], None] = lambda table: None
        self.after: Callable[[str], None] = lambda table: None

    def as_user(self, account: ServerUser) -> "FakeEngine":
        return self

    def of(self, table: str) -> "FakeEngine":
        return self

    @property
    def servers(self) -> list["FakeEngine"]:
        return [self]

    def insert(self, table: str, lines: Sequence[bytes], token: str) -> None:
        if table == hour_counts.TABLE:
            counted = [json.loads(line) for line in lines]
            assert self.hours.setdefault(token, counted) == counted, "one token, two contents"
        if table not in self.tables:
            if table not in (hour_counts.TABLE, state_rows.KEYS, install_data.SOURCES):
                self.told += [json.loads(line) for line in lines]
            return
        self.inserts += 1
        self.before(table)
        found = [json.loads(line) for line in lines]
        if table == state_rows.TABLE:
            found = [{"beacon": beacon} for each in found for beacon in self._reported(each)]
        if any(self.poison(table, each) for each in found):
            raise ContentError("ClickHouse refuses the rows")
        assert self.tables[table].setdefault(token, found) == found, "one token, two contents"
        self.after(table)

    def _reported(self, row: dict[str, Any]) -> list[int]:
        """Return the beacons of a sealed state: their rows have the number as version."""
        state = self.seal.unseal(row["module"], row["install"], base64.b64decode(row["sealed"]))
        return sorted(int(report.version) for report, _ in state.seen)

    def altered(self, table: str) -> str:
        return table

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        assert sql.startswith("ALTER TABLE freshness_by_loader DELETE WHERE loader = ")
        self.told.clear()

    def query_each(
        self, sql: str, name: str, values: Sequence[Any], parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        if parameters is None:  # what is held of an install that asks for something
            return []
        assert "FROM usage_beacons" in sql
        assert name == "beacons"
        return [
            (each["beacon"], each["mark"])
            for held in self.tables["usage_beacons"].values()
            for each in held
            if each["day"] in parameters["days"] and each["beacon"] in values
        ]

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        if "now64" in sql:
            return [(0,)]
        if "system.tables" in sql:
            return [(1,)]
        if "license_states_key" in sql:
            return [(self.seal.fingerprint,)]
        known = ("FROM install_states", "_partition_id", "license_cases", "touched <", "own_name = 0", "sightings")
        assert any(part in sql for part in known), sql
        return []  # nobody decided anything, and nothing is too old

    def reads(self, table: str, line: bytes) -> bool:
        return not self.wrong_schema

    def held(self, plane: Plane) -> Counter[int]:
        return Counter(each["beacon"] for held in self.tables[TABLES[plane]].values() for each in held)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def loader(spool: Spool, engine: FakeEngine) -> Loader:
    return Loader(spool, cast(Engine, engine))


def drain(spool: Spool, engine: FakeEngine) -> None:
    """Load as after a restart, until the spool is empty."""
    again = loader(spool, engine)
    for _ in range(1000):
        again.step()
        if not spool.stats().beacons:
            return
    raise AssertionError("the spool does not get empty")


def once(*numbers: int) -> Counter[int]:
    return Counter(dict.fromkeys(numbers, 1))


def test_it_brings_every_beacon_to_both_planes(spool: Spool, engine: FakeEngine) -> None:
    """What was spooled is in both planes once, in few inserts, and the spool is empty."""
    spool.store(rows(*range(100)), NOON)
    drain(spool, engine)
    assert engine.held("usage") == engine.held("license") == once(*range(100))
    assert engine.inserts == 2
    assert (spool.stats().sealed, spool.stats().quarantined) == (0, 0)


def test_the_planes_share_no_batch_id(spool: Spool, engine: FakeEngine) -> None:
    """No batch id of one plane is in the other."""
    spool.store(rows(1), NOON)
    drain(spool, engine)
    assert not set(engine.tables["usage_beacons"]) & set(engine.tables["license_states"])


def kill_at(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine, moment: str) -> None:
    """Arrange that the process ends at `moment`, once."""
    left = [None]

    def kill() -> None:
        if left:
            left.pop()
            raise Killed

    def around(name: str, when: Callable[..., bool], *, after: bool) -> None:
        real = getattr(Spool, name)

        def wrapped(spool: Spool, batch: Batch, *rest: Any) -> Any:
            if when(*rest) and not after:
                kill()
            result = real(spool, batch, *rest)
            if when(*rest) and after:
                kill()
            return result

        monkeypatch.setattr(Spool, name, wrapped)

    def at(table: str) -> Callable[[str], None]:
        return lambda inserted: kill() if inserted == table else None

    match moment.split(": "):
        case ["before insert", plane]:
            engine.before = at(TABLES[cast(Plane, plane)])
        case ["inserted, not noted", plane]:
            engine.after = at(TABLES[cast(Plane, plane)])
        case ["noted", plane]:
            around("loaded", lambda noted: noted == plane, after=True)
        case ["deleted", _]:
            around("delete", lambda: True, after=True)


@pytest.mark.parametrize("error", [Killed, EngineError])
@pytest.mark.parametrize(
    "moment",
    [
        "before insert: usage", "inserted, not noted: usage", "noted: usage",
        "before insert: license", "inserted, not noted: license", "noted: license", "deleted: both",
    ],
)  # fmt: skip
def test_a_crash_at_any_moment_leaves_every_beacon_once(
    spool: Spool, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, moment: str, error: type[BaseException]
) -> None:
    """Wherever the process ends, or the engine fails with the outcome unknown, each plane has each beacon once."""
    monkeypatch.setattr(f"{__name__}.Killed", error)
    kill_at(monkeypatch, engine, moment)
    spool.store(rows(*range(20)), NOON)
    with pytest.raises(error):
        loader(spool, engine).step()
    spool.store(rows(*range(10, 30)), NOON)
    drain(spool, engine)
    assert engine.held("usage") == engine.held("license") == once(*range(30))


@pytest.mark.parametrize("plane", ["usage", "license"])
@pytest.mark.parametrize("bad", [{0}, {57}, {99}, {3, 4, 98}])
def test_a_poison_row_stands_alone_and_blocks_nobody(
    spool: Spool, engine: FakeEngine, plane: Plane, bad: set[int]
) -> None:
    """A row that ClickHouse cannot read is put aside; all others are in both planes once, and so is its other half."""
    engine.poison = lambda table, each: table == TABLES[plane] and each["beacon"] in bad
    spool.store(rows(*range(100)), NOON)
    drain(spool, engine)
    other: Plane = "license" if plane == "usage" else "usage"
    assert engine.held(plane) == once(*(set(range(100)) - bad))
    assert engine.held(other) == once(*range(100))
    assert spool.stats().quarantined == len(bad)
    kept = spool.db.execute("SELECT plane, row FROM quarantine").fetchall()
    assert sorted(kept) == sorted((plane, getattr(row(n), plane)) for n in bad)


def test_the_embedded_engine_gets_nothing_on_a_nearly_full_disk(
    spool: Spool, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the watermark the loader waits and says why; a server's disk is its own, and not asked for."""
    spool.store(rows(*range(10)), NOON)
    engine.embedded = True
    with monkeypatch.context() as full:
        full.setattr(collector.spool.database, "WATERMARK_BYTES", 1 << 62)
        full.setattr(collector.spool.database, "WATERMARK_SHARE", 1.0)
        with pytest.raises(Unavailable, match="nearly full"):
            loader(spool, engine).step()
        assert engine.inserts == 0
        engine.embedded = False
        drain(spool, engine)
        engine.embedded = True
    spool.store(rows(*range(10, 20)), NOON)
    drain(spool, engine)
    assert engine.held("usage") == engine.held("license") == once(*range(20))


def test_a_beacon_that_another_batch_brought_is_not_counted_twice(spool: Spool, engine: FakeEngine) -> None:
    """A retry that came through another collector is left out of the usage plane, whose uses are a sum."""
    engine.tables["usage_beacons"]["of another collector"] = [
        {"beacon": n, "day": "2026-11-22", "mark": mark("of another collector", n)} for n in (3, 5)
    ]
    spool.store(rows(*range(10)), NOON)
    drain(spool, engine)
    assert engine.held("usage") == once(*range(10))
    spool.store(rows(20), NOON)
    engine.tables["usage_beacons"]["and again"] = [{"beacon": 20, "day": "2026-11-22", "mark": 20}]
    drain(spool, engine)
    assert engine.held("usage") == once(*range(10), 20)
    assert engine.held("license") == once(*range(10), 20)


def test_a_loader_that_cannot_load_says_so_where_it_can(spool: Spool, engine: FakeEngine) -> None:
    """A table that is gone stops the loading and not the telling of it: how much waits, since when, and why."""
    stop = threading.Event()

    def refuse(table: str) -> None:
        stop.set()
        raise EngineError("the table license_states is not there")

    engine.before = refuse
    spool.store(rows(*range(20)), NOON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("collector.loader.migrate", lambda engine: [])
        loader(spool, engine).run(stop)
    (told,) = engine.told
    assert (told["waiting"], told["sealed"], told["trouble"]) == (20, 1, "the table license_states is not there")
    assert told["oldest"] == told["fresh_to"] == "2026-11-22 12:00:00.000"
    assert told["trouble_since"] is not None
    assert spool.loading().fresh_to is None
    engine.before = lambda table: None
    drain(spool, engine)
    assert (engine.told[-1]["waiting"], engine.told[-1]["trouble"]) == (0, "")
    assert spool.loading().since is None


def test_a_loader_with_another_key_says_so_and_loads(
    spool: Spool, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """What its collector answered for is not left lying."""
    stop = threading.Event()

    def refuse(engine: Engine) -> None:
        raise OtherKey("the database is of another home")

    def inserted(table: str) -> None:
        stop.set()

    spool.store(rows(*range(20)), NOON)
    engine.before = inserted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("collector.loader.migrate", lambda engine: [])
        patch.setattr("collector.loader.states_key.claim", refuse)
        loader(spool, engine).run(stop)
    assert "the database is of another home" in caplog.text
    assert engine.held("usage") == once(*range(20))


def test_a_beacon_that_is_twice_in_a_batch_is_counted_once(tmp_path: Path, engine: FakeEngine) -> None:
    """Sent again after the horizon, while ClickHouse was away all the time: it is summed once."""
    clock = HandClock()
    spool = Spool(tmp_path / "spool.sqlite", clock)
    spool.store(rows(1, 2), NOON)
    clock.days(HORIZON_DAYS + 1)
    Compactor(spool).forget()
    later = NOON + (HORIZON_DAYS + 1) * 86400
    assert spool.store(rows(1), later) == [True]
    drain(spool, engine)
    assert engine.held("usage") == once(1, 2)
    spool.close()


class Clock:
    """A wall clock that somebody sets, and a steady one that goes on."""

    def __init__(self) -> None:
        self.wall, self.steady = NOON, 0.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("step", [3600.0, -3600.0, 7 * 86400.0, -7 * 86400.0])
def test_freshness_and_housekeeping_follow_a_clock_that_steps(
    spool: Spool, engine: FakeEngine, step: float, restart: bool
) -> None:
    """Live or across a restart, forth and back: what ClickHouse takes for the newest is never of the future, and never
    older than what was loaded; the house is kept as often as ever."""
    clock = Clock()

    def started() -> Loader:
        return Loader(spool, cast(Engine, engine), lambda: clock.wall, lambda: clock.steady)

    running = started()
    forgotten: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RequestStore, "forget", lambda store, now: forgotten.append(now))
        for number, by in enumerate((0.0, step, -step)):
            clock.wall += by
            running = started() if restart else running
            spool.store(rows(number), clock.wall)
            for _ in range(3):
                running.step()
                clock.pass_by(6.0)
            told = max(engine.told, key=lambda row: row["written"])
            assert _epoch(told["fresh_to"]) <= clock.wall
            assert _epoch(told["fresh_to"]) >= clock.wall - 15
            assert (told["waiting"], spool.loading().fresh_to) == (0, _epoch(told["fresh_to"]))
            forgotten.clear()
            clock.pass_by(FORGET_SECONDS)
            running.step()
            assert forgotten == [clock.wall]


def test_beacons_without_a_pause_stop_no_housekeeping(
    spool: Spool, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each hour, and the log of the spool each minute; soon again if a collector was reading it."""
    clock = Clock()
    forgotten: list[float] = []
    filled: list[float] = []
    emptied: list[float] = []

    def checkpoint(spool: Spool) -> bool:
        emptied.append(clock.steady)
        return len(emptied) != 3

    monkeypatch.setattr(RequestStore, "forget", lambda store, now: forgotten.append(clock.steady))
    monkeypatch.setattr("collector.loader.fill", lambda engine: filled.append(clock.steady))
    monkeypatch.setattr(Spool, "checkpoint", checkpoint)
    loader = Loader(spool, cast(Engine, engine), lambda: clock.wall, lambda: clock.steady)
    for number in range(int(2.5 * FORGET_SECONDS / 5)):
        spool.store(rows(number), clock.wall)
        loader.step()
        clock.pass_by(5.0)
    assert forgotten == filled == [0, FORGET_SECONDS, 2 * FORGET_SECONDS]
    assert emptied[:5] == [0, 60, 120, 130, 190]


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
