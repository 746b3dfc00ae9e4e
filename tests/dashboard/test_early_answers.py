"""Answers that begin with the page, before its scripts ask for them."""

import socket
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard import early_answers, question_limit
from tests.dashboard.conftest import EmptyEngine, fill
from tests.end_to_end.system import wait_for

Visit = Callable[[str | None], FlaskClient]


class Recording(EmptyEngine):
    """Keeps what is asked, but not which beacon was the first: that is asked until there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *given: Any, **named: Any) -> list[Any]:
        if not sql.startswith("SELECT month, groupBitOr(days)"):
            self.asked.append(f"{sql} {parameters}")
        return super().query(sql, parameters, *given, **named)


@pytest.fixture
def engine() -> Recording:
    return Recording()


def ended() -> None:
    wait_for(lambda: all(thread.name != "early" for thread in threading.enumerate()), "the early answers")


def test_a_page_is_asked_for_before_its_scripts_ask(visit: Visit, engine: Recording) -> None:
    """What its callbacks then need has been asked of ClickHouse, for the filters of its address."""
    client = visit("product")
    client.get("/?range=7d&module=invoice_pro")
    ended()
    asked = list(engine.asked)
    assert asked
    fill(client, "overview-figures", "?range=7d&module=invoice_pro")
    fill(client, "installs_by_php_series", "?range=7d&module=invoice_pro")
    assert engine.asked == asked
    fill(client, "overview-figures", "?range=90d&module=invoice_pro")
    assert len(engine.asked) > len(asked)


def test_what_is_asked_ends_with_the_connection_that_the_page_was_got_by() -> None:
    """Its callbacks know whether the browser is gone."""
    gone: list[bool | None] = []

    def asks(_search: str) -> None:
        found = question_limit.client_gone()
        gone.append(found and found())

    callback: Any = SimpleNamespace(function=asks, inputs=["url"])
    with socket.socket() as closed:
        for connection in (closed, None):
            with Flask("pharos").test_request_context("/", environ_overrides={"gunicorn.socket": connection}):
                early_answers._answer([callback], question_limit.QuestionLimit(), "user product")
    assert gone == [True, None]


@pytest.mark.parametrize(
    ("name", "path", "method"),
    [
        ("admin", "/licensing/installs", "GET"),  # reading it is logged, for who reads it
        ("admin", "/licensing", "GET"),
        ("admin", "/health", "GET"),
        ("admin", "/glossary", "GET"),
        ("product", "/", "HEAD"),
        (None, "/", "GET"),
        ("licensing", "/data", "GET"),  # refused
    ],
)
def test_others_are_not(visit: Visit, engine: Recording, name: str | None, path: str, method: str) -> None:
    """Neither a page with more than figures of the usage plane, nor one that is not delivered."""
    asked = list(engine.asked)
    visit(name).open(path, method=method)
    ended()
    assert engine.asked == asked


def test_nobody_waits_for_early_answers(visit: Visit, engine: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take a turn if one is free, and end it, at the latest once a question waits."""
    client, asked = visit("product"), list(engine.asked)
    monkeypatch.setattr(question_limit, "EACH", 0)
    client.get("/")
    ended()
    assert engine.asked == asked
    monkeypatch.setattr(question_limit, "EACH", 1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(question_limit.QuestionLimit, "is_waited_for", lambda _limit: True)
        client.get("/")
        ended()
    assert engine.asked == asked
    for search in ("?range=7d", "?range=90d"):
        before = len(engine.asked)
        client.get(f"/{search}")
        ended()
        assert len(engine.asked) > before
