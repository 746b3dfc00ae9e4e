"""What the pages say when there is nothing, too little, a bad address, or no ClickHouse."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.dashboard.conftest import EmptyEngine, call
from warehouse import queries
from warehouse.home import Home

Visit = Callable[[str | None], FlaskClient]

PAGES = ["overview", "features", "licensing"]


def page(client: FlaskClient, name: str, search: str = "") -> str:
    """All that the page's own callback answers, as text."""
    dependencies: Any = client.get("/_dash-dependencies").json
    output = next(one["output"] for one in dependencies if one["output"].startswith(f"..{name}-notice.children"))
    answer = call(client, output, {"url.search": search})
    assert answer.status_code == 200
    return str(answer.text)


@pytest.mark.parametrize("name", PAGES)
def test_a_system_without_beacons_says_how_to_post_one(visit: Visit, name: str) -> None:
    """The first thing that anybody sees."""
    assert "Post a first beacon: the README has the curl line." in page(visit("admin"), name)


@pytest.mark.parametrize("name", PAGES)
def test_clickhouse_away_is_said_calmly(visit: Visit, engine: EmptyEngine, name: str) -> None:
    """And what still works; no traceback, nothing of the error's text."""
    engine.away = True
    text = page(visit("admin"), name)
    assert "ClickHouse does not answer" in text
    assert "Beacons are still accepted" in text
    assert "connection refused" not in text


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("?from=2026-13-01", "The first day (from) must be a date"),
        ("?to=yesterday", "The last day (to) must be a date"),
        ("?from=2026-11-02&to=2026-11-01", "must not be after to"),
        ("?grain=period", "The grain (grain) must be one of day, week, month"),
        ("?module=" + "x" * 65, "The module (module) must be printable"),
    ],
)
@pytest.mark.parametrize("name", ["overview", "features"])
def test_a_bad_value_in_the_address_is_named(visit: Visit, name: str, search: str, said: str) -> None:
    """With a way back."""
    text = page(visit("product"), name, search)
    assert said in text
    assert "Show the last 30 days" in text


def test_a_bad_status_in_the_address_is_named(visit: Visit) -> None:
    """On the page that has that filter."""
    assert "The status (status) must be of" in page(visit("licensing"), "licensing", "?status=guilty")


def test_what_the_address_holds_beside_the_filters_is_ignored(visit: Visit) -> None:
    """Links get things added on their way."""
    assert "cannot be used" not in page(visit("product"), "overview", "?utm_source=mail")


@pytest.mark.parametrize("name", ["overview", "features"])
def test_installs_under_k_are_said_to_be_there(visit: Visit, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Who posts a first beacon must not be told that there is none."""

    def answer(*_: Any) -> dict[str, Any]:
        return {"rows": [{"bucket": "2026-11-01", "key": None, "value": None}], "fresh_to": "2026-11-23T14:02:00Z"}

    monkeypatch.setattr(queries, "answer", answer)
    text = page(visit("product"), name)
    assert "Fewer than 5 installs in this range" in text
    assert "Data up to 23 Nov 2026, 14:02 UTC" in text


@pytest.mark.parametrize(("countries", "style"), [([], {"display": "none"}), ([("NL", 9), ("DE", 7)], {})])
def test_a_chart_of_what_nobody_tells_is_not_there(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, countries: list[tuple[str, int]], style: dict[str, str]
) -> None:
    """Without a country database no install has a country; with one the chart stands beside the others."""

    def answer(_engine: Any, query: Any, _k: int) -> dict[str, Any]:
        rows = countries if query.by == "country" else [(None, 16)]
        return {"rows": [{"bucket": "2026-11-01", "key": key, "value": value} for key, value in rows], "fresh_to": None}

    monkeypatch.setattr(queries, "answer", answer)
    output = (
        "..installs_by_country-body.children...installs_by_country-note.children...installs_by_country-card.style.."
    )
    told: Any = call(visit("product"), output, {"url.search": ""}).json
    assert told["response"]["installs_by_country-card"]["style"] == style
    assert all(f"{code} {count}" in str(told["response"]["installs_by_country-body"]) for code, count in countries)


def test_every_page_says_that_synthetic_data_is_synthetic(visit: Visit, home: Home) -> None:
    """As soon as the file is there."""
    client = visit("product")
    said = "Synthetic demonstration data"
    assert said not in client.get("/_dash-layout").text
    (home.path / "synthetic").touch()
    assert said in client.get("/_dash-layout").text
