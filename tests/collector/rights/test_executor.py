"""Owner requests carried out on a real ClickHouse: the embedded engine and, with CLICKHOUSE_URL, a server."""

import itertools
import os
import re
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from collector.loader import Loader
from collector.planes import Planes, encode
from collector.rights import restriction
from collector.rights.api import ask, parse, request_status
from collector.rights.decisions import Decisions
from collector.rights.request_store import UNHELD_DAYS, RequestStore
from collector.spool import Spool
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url, wait_for
from tests.warehouse.engines import engine_at
from warehouse import install_data
from warehouse.engine import Engine, EngineError
from warehouse.licensing import state_rows
from warehouse.migrate import migrate
from warehouse.recount import differences

AGGREGATES = install_data.TABLES["usage"][1:]

PLANES = Planes(b"root secret of the tests")
RAW = timedelta(days=35)
ACTIONS = ("access", "erase", "rectify", "object", "restrict", "lift")


class Collector:
    """A spool with its loader, without HTTP."""

    def __init__(self, home: Home, engine: Engine) -> None:
        self.home, self.engine, self.spool = home, engine, Spool(home.spool)
        self.store = RequestStore(self.spool)
        self.loader = Loader(self.spool, engine)

    def send(self, install_id: str, beacons: int = 3, **more: Any) -> None:
        """Split and store beacons as the HTTP endpoint does."""
        now = datetime.now(UTC)
        for _ in range(beacons):
            state = Decisions(self.spool).state(PLANES.who(install_id))
            split = PLANES.split(beacon(install_id=install_id, **more), "203.0.113.9", now, epoch=state.epoch)
            self.spool.store([PLANES.sealed(split, install_id) if state.restricted else split.row()], now.timestamp())

    def send_long_ago(self, install_id: str, days: list[int], **more: Any) -> None:
        """Load beacons that were sent and received so many days ago. Their rows of the usage plane have expired."""
        now, lines = datetime.now(UTC), []
        for back in days:
            then = now - timedelta(days=back)
            split = PLANES.split(beacon(install_id=install_id, sent_at=then.isoformat(), **more), "203.0.113.9", then)
            lines.append(encode(split.usage))
        insert_batch(self.engine, "usage", str(uuid.uuid4()), lines)
        self.engine.command(
            f"ALTER TABLE {self.engine.altered('usage_beacons')} DELETE WHERE received < '{now.date() - RAW}'",
            {"mutations_sync": 2},
        )

    def kept(self, install_id: str) -> list[tuple[Any, ...]]:
        """Return (php, days, uses) of an install in the aggregates of the usage plane."""
        install = PLANES.pseudonyms(uuid.UUID(install_id).bytes, 0)["usage"]
        return self.engine.query(
            "SELECT php::String, sum(days) AS days, sum(amount) FROM ("
            "SELECT month, variant, php, bitCount(groupBitOr(days)) AS days FROM installs_by_month "
            f"WHERE install = {install} GROUP BY month, variant, php) AS reported LEFT JOIN ("
            "SELECT month, variant, sum(arraySum(mapValues(uses))) AS amount FROM features_by_month "
            f"WHERE install = {install} GROUP BY month, variant) AS used USING (month, variant) "
            "GROUP BY php ORDER BY php"
        )

    def ask(self, install_id: str, action: str, **correction: Any) -> str:
        given = {"install_id": install_id, "action": action} | ({"rectify": correction} if correction else {})
        return ask(self.store, PLANES, *parse(given))

    def finish(self) -> None:
        """Step the loader until all beacons are loaded and all requests are carried out."""
        wait_for(lambda: not self.loader.step() and not self.store.pending(), "the requests", 120)

    def count(self, sql: str) -> int:
        return int(self.engine.query(f"SELECT count() FROM {sql}")[0][0])

    def mutations(self) -> set[tuple[str, str]]:
        """Return the mutations that ClickHouse lists: at least the last one of each table."""
        sql = "SELECT table, mutation_id FROM system.mutations WHERE database = currentDatabase()"
        return set(self.engine.query(sql))


@pytest.fixture(params=ENGINES)
def collector(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Collector]:
    yield from opened(request.param, tmp_path)


def opened(kind: str, folder: Path) -> Iterator[Collector]:
    """Yield a collector with an empty, migrated database."""
    home = Home(folder / "home")
    engine = engine_at(clickhouse_url(kind), folder)
    migrate(engine)
    yield Collector(home, engine)
    engine.close()


def someone() -> str:
    return str(uuid.uuid4())


def correction(action: str) -> dict[str, Any]:
    return {"platform": {"php": "8.3.1"}, "license": {"status": "licensed"}} if action == "rectify" else {}


def test_an_install_of_which_nothing_is_held_costs_nothing_that_lasts(collector: Collector) -> None:
    """A request about an unknown install runs no mutation and leaves no record. Only a decision is stored."""
    before = collector.mutations()
    tickets = [collector.ask(someone(), action, **correction(action)) for action in ACTIONS for _ in range(10)]
    collector.finish()
    assert {(request_status(collector.store, ticket) or {})["state"] for ticket in tickets} == {"done"}
    assert collector.mutations() <= before  # those of before may have ended
    assert [collector.count(table) for table in ("rights_requests", "retired_usage_installs", "owner_statements")] == [
        0,
        0,
        0,
    ]
    kept = [(each.state.epoch, each.state.objected, each.state.restricted) for each in Decisions(collector.spool).all()]
    assert sorted(kept) == [(0, False, True)] * 10 + [(0, True, False)] * 10
    collector.store.forget(datetime.now(UTC).timestamp() + UNHELD_DAYS * 86400 + 60)
    assert collector.store.all() == []


def test_requests_that_wait_share_one_deletion_in_each_table(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty simultaneous requests share the mutations of each table."""
    statements: list[str] = []
    command = Engine.command

    def noted(engine: Engine, sql: str, settings: Any = None) -> None:
        statements.append(sql)
        command(engine, sql, settings)

    monkeypatch.setattr(Engine, "command", noted)
    installs = [someone() for _ in range(40)]
    for install in installs:
        collector.send(install)
    collector.loader.step()
    for install, action in zip(installs, itertools.cycle(("erase", "restrict", "rectify", "erase"))):
        collector.ask(install, action, **correction(action))
    collector.finish()
    deletions = Counter(re.findall(r"ALTER TABLE `?(\w+?)(?:_local)?`? .*(DELETE|UPDATE)", "\n".join(statements)))
    assert deletions[("usage_beacons", "UPDATE")] == 1
    assert all(deletions[(table, "DELETE")] <= 3 for table in AGGREGATES)  # a correction has a statement of its own
    assert all(number <= 2 for (table, _), number in deletions.items() if table not in AGGREGATES)
    held = collector.engine.query("SELECT uniqExact(install), countIf(php = '8.3.1') FROM usage_beacons FINAL")
    assert held == [(10, 30)]
    assert differences(collector.engine) == []


def test_beacons_are_loaded_while_clickhouse_deletes(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader continues during a long deletion, and the beacons that it loads stay."""
    mine, other = someone(), someone()
    collector.send(mine)
    collector.ask(mine, "rectify", **correction("rectify"))
    with monkeypatch.context() as patch:
        patch.setattr(install_data, "deleting", lambda engine: True)
        collector.loader.step()
        collector.send(mine, platform={"php": "8.1.9"})
        collector.ask(other, "erase")
        collector.send(other)
        collector.loader.step()
        assert collector.spool.stats().beacons == 0
        assert [request.action for request in collector.store.pending()] == ["rectify"]
    collector.finish()
    php = dict(collector.engine.query("SELECT php, count() FROM usage_beacons FINAL GROUP BY php"))
    assert php == {"8.3.1": 3, "8.1.9": 3, "8.2.12": 3}
    assert differences(collector.engine) == []


def test_a_correction_spares_what_came_after_it(collector: Collector) -> None:
    """Beacons that were accepted after the request are not corrected, although they were loaded before it ran."""
    mine = someone()
    collector.send(mine)
    collector.ask(mine, "rectify", **correction("rectify"))
    collector.send(mine, beacons=2)
    collector.finish()
    assert collector.engine.query("SELECT php, count() FROM usage_beacons FINAL GROUP BY php ORDER BY php") == [
        ("8.2.12", 2), ("8.3.1", 3),
    ]  # fmt: skip


def test_bytes_are_gone_when_an_erasure_is_done(collector: Collector) -> None:
    """When the status is `done`, no file contains values that only this install reported."""
    mark = "zq7xk-7.7.7"
    mine = someone()
    collector.send(someone())
    collector.send(mine, platform={"php": mark})
    collector.loader.step()
    ticket = collector.ask(mine, "erase")
    collector.finish()
    assert (request_status(collector.store, ticket) or {})["state"] == "done"
    folder = collector.home.path
    if not collector.engine.embedded:
        node = Path(os.environ["CLICKHOUSE_CONFIG"]).parent
        folder = node.parent if collector.engine.cluster else node
    found = subprocess.run(["grep", "-rlaF", mark, folder], capture_output=True, text=True, check=False)
    assert found.stdout == ""


@pytest.mark.parametrize("action", ["restrict", "lift"])
def test_nothing_is_deleted_that_could_not_be_put_back(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """If ClickHouse rejects the corrected rows, the original rows stay and the request fails."""
    mine = someone()
    collector.send(mine)
    collector.loader.step()
    if action == "lift":
        collector.ask(mine, "restrict")
        collector.finish()
    tables = ("usage_beacons", "license_states", "sealed_beacons")
    before = [collector.count(table) for table in tables]
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "reads", lambda engine, table, lines: table != "usage_beacons")
        ticket = collector.ask(mine, action)
        collector.finish()
    assert (request_status(collector.store, ticket) or {})["state"] == "failed"
    assert [collector.count(table) for table in tables] == before
    again = collector.ask(mine, action)
    collector.finish()
    assert (request_status(collector.store, again) or {})["state"] == "done"
    assert differences(collector.engine) == []


def test_counts_by_source_follow_their_owner(collector: Collector) -> None:
    """Access shows them, a restriction takes them away and a lift brings them back, and an erasure deletes them.

    So it is for those from before they had a name of their own.
    """
    mine, other = someone(), someone()
    for each in (mine, other):
        collector.send(each)
        collector.loader.step()
    name = PLANES.pseudonyms(uuid.UUID(mine).bytes, 0)
    collector.engine.command(
        "INSERT INTO license_sources_by_month (module, install, month, days) "
        f"VALUES ('gone', {name['license']}, '{datetime.now(UTC):%Y-%m}-01', 1)"
    )
    counts = f"license_sources_by_month WHERE install IN ({name['source']}, {name['license']})"

    def asked(action: str) -> dict[str, Any]:
        ticket = collector.ask(mine, action)
        collector.finish()
        found = request_status(collector.store, ticket) or {}
        assert found["state"] == "done"
        return found["result"] or {}

    held = asked("access")["license"]["license_sources_by_month"]
    assert {(row["install"], row["own_name"]) for row in held} == {
        (f"{name['source']:016x}", 1), (f"{name['license']:016x}", 0),
    }  # fmt: skip
    asked("restrict")
    assert collector.count(counts) == 0
    asked("lift")
    assert collector.count(f"license_sources_by_month WHERE install = {name['source']}") > 0
    assert differences(collector.engine) == []
    asked("erase")
    assert collector.count(counts) == 0
    assert collector.count("license_sources_by_month") > 0


def test_a_beacon_counts_in_its_hour_once_whatever_its_owner_asks_for(collector: Collector) -> None:
    """Also if a restriction takes it away and a lift brings it back. One that comes meanwhile counts after the lift."""

    def counted() -> int:
        return int(collector.engine.query("SELECT sum(beacons) FROM license_beacons_per_hour")[0][0])

    mine = someone()
    collector.send(mine)
    collector.loader.step()
    collector.ask(mine, "restrict")
    collector.finish()
    before = counted()
    assert before > 0
    collector.send(mine)
    collector.loader.step()
    collector.ask(mine, "lift")
    collector.finish()
    wait_for(lambda: counted() == 2 * before, "all replicas")


def test_what_is_sealed_again_is_there_once(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a restriction fails between two deletions, it seals again what is left. Each row is returned once."""
    mine = someone()
    collector.send(mine)
    collector.loader.step()
    collector.ask(mine, "restrict")
    (work,) = [request.work for request in collector.store.pending()]
    real = install_data.delete
    failed: list[str] = []

    def half(engine: Engine, rows: dict[str, Any]) -> None:
        if failed:
            return real(engine, rows)
        failed.append("usage_beacons")
        real(engine, {"usage_beacons": rows["usage_beacons"]})
        wait_for(lambda: not install_data.deleting(engine), "the deletion")
        raise EngineError("ClickHouse is away")

    monkeypatch.setattr(install_data, "delete", half)
    collector.finish()
    assert failed
    found = Counter(plane for rows in restriction.sealed_rows(collector.engine, work) for plane in rows if rows[plane])
    # A state keeps the first and the last of equal reports of a day.
    assert found["usage"] == 3
    assert found["license"] in (1, 2)
    assert collector.count(install_data.SEALED) == 3 + 2 * found["license"]


def test_a_pass_leaves_out_what_goes_and_not_what_comes_back(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion takes long while a replica is down. A pass deletes the old states of an install that it leaves out."""
    mine = someone()
    name = PLANES.pseudonyms(uuid.UUID(mine).bytes, 0)["license"]
    collector.send(mine)
    collector.loader.step()
    for action, gone in (("restrict", {name}), ("lift", set()), ("rectify", set()), ("erase", {name})):
        collector.ask(mine, action, **correction(action))
        with monkeypatch.context() as patch:
            patch.setattr(install_data, "deleting", lambda engine: True)
            collector.loader.step()
            assert collector.loader._rights._deleting
            assert collector.loader._rights.deleting() == gone
        collector.finish()


def failing_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], bool]:
    """Fail the `number`th insert or statement with an unknown outcome. Returns whether it was reached."""
    calls = itertools.count(1)
    reached = []

    def wrap(name: str) -> None:
        real = getattr(Engine, name)

        def wrapped(engine: Engine, *arguments: Any, **named: Any) -> Any:
            result = real(engine, *arguments, **named)
            if "freshness" not in str(arguments[0]) and next(calls) == number:
                reached.append(number)
                raise EngineError("the outcome is unknown")
            return result

        monkeypatch.setattr(Engine, name, wrapped)

    wrap("insert")
    wrap("command")
    return lambda: bool(reached)


def test_a_failure_at_any_statement_leaves_the_same_end(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure at any statement, a new loader reaches the same final state.

    A statement takes seconds, so this tries every `FAILURES_EVERY`th.
    """
    monkeypatch.setattr(install_data, "left_on_disk", lambda engine: set())
    every = int(os.environ.get("FAILURES_EVERY", "12"))
    for number in itertools.count(1, every):
        installs = {action: someone() for action in ("erase", "restrict", "rectify", "lift")}
        for install in installs.values():
            collector.send_long_ago(install, [400, 60, 59])
            collector.send(install)
        collector.ask(installs["lift"], "restrict")
        collector.finish()
        for action, install in installs.items():
            collector.ask(install, action, **correction(action))
        with monkeypatch.context() as patch:
            reached = failing_at(patch, number)
            for _ in range(2):
                with suppress(EngineError):  # as the loader's loop, when the freshness was due and its insert failed
                    collector.loader.step()
        collector.loader = Loader(collector.spool, collector.engine)
        collector.finish()
        found = {}
        for action, install in installs.items():
            pseudonyms = PLANES.pseudonyms(uuid.UUID(install).bytes, 0)
            rows = install_data.rows(collector.engine, "usage_beacons", pseudonyms["usage"])
            days = state_rows.reports(collector.engine, [pseudonyms["license"]])
            found[action] = len(rows), len(days), {row["php"] for row in rows}, collector.kept(install)
        assert found == {
            "erase": (0, 0, set(), []),
            "restrict": (0, 0, set(), []),
            "rectify": (3, 1, {"8.3.1"}, [("8.3.1", 4, 6)]),
            "lift": (3, 1, {"8.2.12"}, [("8.2.12", 4, 6)]),
        }
        assert differences(collector.engine) == []
        if not reached():
            assert number > 10
            return
