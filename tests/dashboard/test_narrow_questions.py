"""Narrow questions of one token: when they are delayed, and who is informed."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from core.access_log import AccessLog
from core.credentials import Credentials, Role
from core.home import Home
from core.settings import Settings
from dashboard import narrow_questions
from dashboard.narrow_questions import FREE, MOST_DELAY, STEP, Asker, NarrowQuestions, delay, should_report
from tests.dashboard.test_pages import page
from warehouse.queries.metrics import MetricQuery

DAY = date(2026, 11, 22)
NOTHING, FIGURE = [{"value": None}], [{"value": 7}]


def question(number: int, **filters: str) -> MetricQuery:
    return MetricQuery("installs", DAY, DAY, "day", None, {"php": f"8.{number}", **filters})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_hundreds_of_different_ones_are_slow() -> None:
    """Repeated questions, and questions without a filter or with a value in each bucket, do not count."""
    asked = NarrowQuestions()
    for number in range(FREE):
        assert asked.asked("a", question(number), NOTHING) == (0.0, number + 1)
    assert asked.asked("a", question(0), NOTHING) == (0.0, 0)
    assert asked.asked("a", question(FREE), FIGURE) == (0.0, 0)
    assert asked.asked("a", MetricQuery("installs", DAY, DAY, "day", "php", {}), NOTHING) == (0.0, 0)
    assert asked.many() == []
    assert asked.asked("a", question(FREE), NOTHING) == (0.05, FREE + 1)
    assert asked.asked("b", question(FREE), NOTHING) == (0.0, 1)
    assert asked.many() == [Asker("a", FREE + 1)]


def test_after_an_hour_they_are_forgotten() -> None:
    """Questions count for one hour."""
    clock = Clock()
    asked = NarrowQuestions(clock)
    for number in range(FREE + 1):
        asked.asked("a", question(number), NOTHING)
    clock.now = narrow_questions.WINDOW_SECONDS
    assert asked.many() == []
    assert asked.asked("a", question(0), NOTHING) == (0.0, 1)


def test_the_delay_doubles_and_ends_at_seconds() -> None:
    """The delay doubles up to a few seconds and never becomes an error."""
    assert [delay(number) for number in (1, FREE, FREE + 1, FREE + STEP, FREE + STEP + 1)] == [0, 0, 0.05, 0.05, 0.1]
    assert delay(100_000) == MOST_DELAY
    reported = [number for number in range(5000) if should_report(number)]
    assert reported == [
        FREE + 1,
        FREE + 4 * STEP + 1,
        FREE + 8 * STEP + 1,
    ]


def test_the_admin_is_told_of_a_token_that_asks_too_many(
    app: Flask, visit: Any, credentials: Credentials, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delayed token is in the access log and on the page Health. Admin tokens are never delayed."""
    waited: list[float] = []
    monkeypatch.setattr(narrow_questions, "FREE", 3)
    monkeypatch.setattr("dashboard.api.time", SimpleNamespace(sleep=waited.append))  # of the API alone
    tokens = {role: credentials.add_token(role) for role in (Role.PRODUCT, Role.ADMIN)}
    (id,) = (token.id for token in credentials.tokens() if token.role is Role.PRODUCT)

    def ask(role: Role, number: int) -> None:
        headers = {"Authorization": f"Bearer {tokens[role]}"}
        answer = app.test_client().get(f"/api/v1/metrics/installs?php=8.{number}", headers=headers)
        assert answer.status_code == 200

    for number in range(5):
        ask(Role.ADMIN, number)
    assert waited == []
    for number in range(5):
        ask(Role.PRODUCT, number)
    assert waited == [0, 0, 0, 0.05, 0.05]
    (entry,) = AccessLog.of(Settings(home=home.path), home).entries(10)
    assert (entry.who, entry.what, entry.question["questions"]) == (f"token {id}", "narrow questions", "4")
    assert f"within an hour, by token {id}" in page(visit("admin"), "health")
