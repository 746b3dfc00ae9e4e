"""Limits on one query: time, memory and rows."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse.at_once import at_once
from warehouse.engine import Engine
from warehouse.errors import Cancelled, EngineError
from warehouse.limited_engine import NOT_COMPILED, LimitedEngine, LimitExceeded
from warehouse.server_users import ServerUser

pytestmark = pytest.mark.parametrize("kind", ENGINES)
HUNGRY = {
    "time": "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 0",
    "memory": "SELECT uniqExact(number) FROM numbers(1000000000)",
    "rows": "SELECT number FROM numbers(1000000)",
}


def asked(engine: Engine, home: Home) -> list[object]:
    ended: list[tuple[str, float]] = []
    limited = LimitedEngine(engine, 1, ended=lambda *outcome: ended.append(outcome))
    engine.create_database()
    outcomes: list[object] = []
    for sql in HUNGRY.values():
        try:
            outcomes.append(limited.query(sql))
        except LimitExceeded:
            outcomes.append("ended")
        # It is no trouble of ClickHouse's, and nothing is left of it.
        outcomes.append(limited.query("SELECT count() FROM numbers(1000)"))
        outcomes.append(engine.trouble)
    with pytest.raises(EngineError):
        limited.query("SELECT nothing")
    assert [outcome for outcome, _ in ended] == ["limited", "answered"] * 3 + ["failed"]
    assert ended[0][1] > ended[1][1] > 0
    return [*outcomes, limited.query(f"SELECT {', '.join(f'toString(getSetting({name!r}))' for name in NOT_COMPILED)}")]


def test_a_question_that_takes_too_much_is_ended(kind: str, tmp_path: Path) -> None:
    """A query over the limits fails, and the next one works. Each outcome is told. ClickHouse compiles none of them."""
    *outcomes, compiled = done_in(kind, tmp_path, asked)
    assert outcomes == ["ended", [(1000,)], None] * 3
    assert compiled == [("false",) * len(NOT_COMPILED)]


THREADS = "SELECT getSetting('max_threads')::UInt64"


def threads(engine: Engine, home: Home) -> list[int]:
    engine.create_database()
    runs, found = threading.Event(), list[int]()

    def answered() -> bool:
        runs.set()
        return len(found) == 2

    # The other question ends as soon as these are answered.
    limited = LimitedEngine(engine, 60, lambda: answered if threading.current_thread().name == "other_0" else None)
    with ThreadPoolExecutor(1, "other") as pool:
        other = pool.submit(limited.query, HUNGRY["time"])
        assert runs.wait(60)
        found += [one.query(THREADS)[0][0] for one in (limited, limited.as_user(ServerUser.PRODUCT))]
        with pytest.raises(Cancelled):
            other.result(60)
    found += at_once(*[lambda: limited.query(THREADS)[0][0]] * 2)
    return [*found, limited.query(THREADS)[0][0], engine.query(THREADS)[0][0]]


def test_questions_share_the_threads(kind: str, tmp_path: Path) -> None:
    """A question that runs beside another one, or a part of it, has half of ClickHouse's threads; alone it has all."""
    *beside, alone, every = done_in(kind, tmp_path, threads)
    assert beside == [max(1, every // 2)] * 4
    assert alone == every


def without_limits(engine: Engine, home: Home) -> int:
    engine.create_database()
    return len(engine.query(HUNGRY["rows"]))


def test_the_loader_has_no_such_limits(kind: str, tmp_path: Path) -> None:
    """Only the dashboard has these limits."""
    assert done_in(kind, tmp_path, without_limits) == 1_000_000
