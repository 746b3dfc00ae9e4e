"""The common error path of callbacks: a region that cannot be filled hides its content and shows a message."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard.data_source import DataSource
from tests.dashboard.conftest import EmptyEngine, fill

Visit = Callable[[str | None], FlaskClient]
HIDDEN = {"display": "none"}


def dependencies(visit: Visit) -> list[dict[str, Any]]:
    found: Any = visit("admin").get("/_dash-dependencies").json
    return [one for one in found if one["clientside_function"] is None]


def test_every_callback_has_a_message(visit: Visit) -> None:
    """Every callback uses `fill`. Otherwise an error would leave old figures under a new filter."""
    for dependency in dependencies(visit):
        assert dependency["output"].lstrip(".").partition(".")[0].endswith("-message"), dependency["output"]


def test_no_callback_returns_a_graph_or_a_grid(visit: Visit) -> None:
    """Graphs and grids stay in the layout, because Dash mounts returned `children` again."""
    client = visit("admin")
    for dependency in dependencies(visit):
        region = dependency["output"].lstrip(".").partition("-message")[0]
        if region != "page":
            answer = str(fill(client, region))
            assert "AgGrid" not in answer, region
            assert "'Graph'" not in answer, region


def test_an_unexpected_error_is_logged_and_said(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After an unexpected error the content is hidden, and the page shows no part of the error."""

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(DataSource, "ask", broken)
    with caplog.at_level(logging.ERROR):
        answer = fill(visit("product"), "installs_by_php_series", "?module=invoice_pro")
    assert answer["installs_by_php_series-content"]["style"] == HIDDEN
    assert "This could not be read" in str(answer["installs_by_php_series-message"])
    assert "installs_by_php_series-body" not in answer, "the old figure stays hidden, and no new one is given"
    assert "This could not be read" in str(answer["installs_by_os-message"]), "nor that of another one"
    assert "a secret" not in str(answer)
    assert "the callback of installs_by_php_series failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_region_recovers(visit: Visit, engine: EmptyEngine) -> None:
    """After a successful callback the message goes and the content is shown."""
    client = visit("admin")
    engine.away = True
    assert fill(client, "health-tables")["health-tables-content"]["style"] == HIDDEN
    engine.away = False
    answer = fill(client, "health-tables")
    assert answer["health-tables-content"]["style"] == {}
    assert answer["health-tables-message"]["children"] == ""
