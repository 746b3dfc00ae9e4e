"""Limits on concurrent questions and on the cost of one question."""

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from dashboard.question_limit import (
    EACH,
    MOST_WAITING,
    TOTAL,
    QuestionLimit,
    TooManyQuestions,
    ask_in_free_turns,
    client_gone,
)
from tests.dashboard.conftest import EmptyEngine
from tests.end_to_end.system import wait_for
from warehouse.engine import EngineError

Visit = Callable[[str | None], FlaskClient]


def test_an_asker_has_so_many_turns_at_once() -> None:
    """The limit is per asker. A question that waits too long is refused."""
    limit = QuestionLimit(wait_seconds=0.01)
    for _ in range(EACH):
        limit.enter("a")
    with pytest.raises(TooManyQuestions):
        limit.enter("a")
    for _ in range(TOTAL - EACH):
        limit.enter("b")
    with pytest.raises(TooManyQuestions):
        limit.enter("c")
    limit.leave("a")
    limit.enter("c")


def _waits(limit: QuestionLimit, count: int) -> bool:
    return limit._waiting["a"] == count


def test_who_waits_gets_the_next_turn() -> None:
    """A waiting question runs when another ends. The number of waiting questions is limited."""
    limit = QuestionLimit(wait_seconds=60)
    for _ in range(EACH):
        limit.enter("a")
    waiting = [threading.Thread(target=limit.enter, args=("a",)) for _ in range(MOST_WAITING)]
    for thread in waiting:
        thread.start()
    wait_for(lambda: limit._waiting["a"] == MOST_WAITING, "threads that wait")
    with pytest.raises(TooManyQuestions):
        limit.enter("a")
    for left in reversed(range(MOST_WAITING)):
        limit.leave("a")
        wait_for(partial(_waits, limit, left), "the next turn")
    for thread in waiting:
        thread.join(60)
    assert limit._running == {"a": EACH}
    assert not limit._waiting


class SlowEngine(EmptyEngine):
    """Responds when the test says so, and counts concurrent questions. All of them share the number of install-days."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.asking = 0

    def query(self, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        if "bitCount" not in args[0]:
            self.asking += 1
            assert self.go.wait(60)
        return super().query(*args, **kwargs)


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


def test_a_token_asks_four_questions_at_once(visit: Visit, engine: SlowEngine, credentials: Credentials) -> None:
    """Of ten requests four reach ClickHouse at once, and all are answered."""
    token, other = credentials.add_token(Role.PRODUCT), credentials.add_token(Role.PRODUCT)
    statuses: list[int] = []

    def ask(number: int) -> None:
        days = {"from": f"2026-10-{number + 1:02}", "to": "2026-10-20"}  # another question each time: none is kept
        headers = {"Authorization": f"Bearer {token}"}
        answer = visit(None).get("/api/v1/metrics/installs", query_string=days, headers=headers)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    wait_for(lambda: engine.asking == EACH, "questions")
    also = threading.Thread(
        target=lambda: visit(None).get("/api/v1/metrics/installs", headers={"Authorization": f"Bearer {other}"})
    )
    also.start()
    wait_for(lambda: engine.asking == EACH + 1, "the question of another token")
    engine.go.set()
    for thread in (*threads, also):
        thread.join(60)
    assert statuses == [200] * 10


@pytest.mark.parametrize("code", [159, 241, 396])
def test_a_question_that_takes_too_much_is_told_so(
    visit: Visit, engine: SlowEngine, credentials: Credentials, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A question over the limits of ClickHouse gets a 422 that names the limits."""

    def ended(*_args: Any, **_kwargs: Any) -> Any:
        cause = OSError()
        cause.code = code  # type: ignore[attr-defined]
        raise EngineError("what ClickHouse says") from cause

    monkeypatch.setattr(engine, "query", ended)
    token = credentials.add_token(Role.PRODUCT)
    answer = visit(None).get("/api/v1/metrics/installs", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 422
    problem = answer.get_json(force=True)
    assert problem["reason"] == "too_expensive"
    assert problem["detail"].startswith("it takes more than 5 s, 1024 MiB or 250000 rows")


def test_only_a_question_with_a_turn_is_cancelled(app: Flask) -> None:
    """The result of `/readyz` and of the public page is for all: a client that leaves must not spoil it."""
    with socket.socket() as connection:  # not connected
        assert client_gone() is None
        with app.test_request_context("/readyz", environ_overrides={"gunicorn.socket": connection}):
            assert client_gone() is None
            QuestionLimit().begin("a")
            gone = client_gone()
            assert gone is not None
            assert gone()


def test_a_request_asks_at_once_what_there_are_turns_for(app: Flask) -> None:
    """Each question takes a turn, and gives it back. The answers come in the order of the questions."""
    limit, together = QuestionLimit(), threading.Barrier(EACH)

    def ask(number: int) -> int:
        together.wait(60)
        return number

    with app.test_request_context("/"):
        limit.begin("a")
        assert ask_in_free_turns(*(partial(ask, number) for number in range(EACH))) == list(range(EACH))
        assert limit._running == {"a": 1}


def test_without_free_turns_questions_run_one_after_the_other(app: Flask) -> None:
    """So do a report, which has no turn, and a request whose turns somebody waits for."""
    limit = QuestionLimit(wait_seconds=60)
    threads: list[int] = []

    def ask() -> None:
        threads.append(threading.get_ident())

    ask_in_free_turns(ask, ask)
    with app.test_request_context("/"):
        limit.begin("a")
        for _ in range(EACH - 1):
            limit.enter("a")
        ask_in_free_turns(ask, ask)
        waiting = threading.Thread(target=limit.enter, args=("a",))
        waiting.start()
        wait_for(lambda: limit._waiting["a"] == 1, "a question that waits")
        assert not limit.enter_if_free("b")
        limit.leave("a")
        waiting.join(60)
        assert limit.enter_if_free("b")
    assert threads == [threading.get_ident()] * 4


def test_an_error_of_one_question_is_that_of_the_request(app: Flask) -> None:
    """It is raised once all have ended, and every turn is free again."""
    limit = QuestionLimit()

    def fail() -> None:
        raise EngineError("away")

    for questions in ((fail, int), (int, fail)):
        with app.test_request_context("/"):
            limit.begin("a")
            with pytest.raises(EngineError):
                ask_in_free_turns(*questions)
            assert limit._running == {"a": 1}
            limit.leave("a")
