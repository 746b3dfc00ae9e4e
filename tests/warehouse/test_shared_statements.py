"""Statements that the questions of a page have in common."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.dashboard.conftest import EmptyEngine
from warehouse.engine import EngineError
from warehouse.server_users import ServerUser
from warehouse.shared_statements import SharedStatements


class Counting(EmptyEngine):
    """An engine that says what it was asked, and as whom."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.account = ""

    def as_user(self, account: ServerUser) -> "Counting":
        other = Counting()
        other.asked, other.account = self.asked, account
        return other

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        self.asked.append((self.account, sql, parameters))
        if sql == "bad":
            raise EngineError("no such table")
        return [(len(self.asked),)]


def test_a_statement_runs_once_for_each_user() -> None:
    """The rows are those of the same statement, with the same parameters, asked as the same user."""
    engine = Counting()
    shared = SharedStatements(engine)
    assert shared.query("a") == shared.query("a") == [(1,)]
    assert shared.query("a", {"k": 5}) == shared.query("a", {"k": 5}) == [(2,)]
    assert shared.query("a", {"k": 6}) == [(3,)]
    product = [shared.as_user(ServerUser.PRODUCT).query("a") for _ in range(2)]
    assert product == [[(4,)]] * 2
    assert shared.as_user(ServerUser.LICENSING).query("a") == [(5,)]
    assert SharedStatements(engine).query("a") == [(6,)]


def test_rows_that_one_question_changes_are_whole_for_the_next() -> None:
    """Each question has its own list."""
    shared = SharedStatements(Counting())
    shared.query("a").clear()
    assert shared.query("a") == [(1,)]


def test_a_failure_is_not_kept() -> None:
    """A statement that failed runs again."""
    engine = Counting()
    shared = SharedStatements(engine)
    for _ in range(2):
        with pytest.raises(EngineError, match="no such table"):
            shared.query("bad")
    assert len(engine.asked) == 2
