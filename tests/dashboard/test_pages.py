"""The pages without data, with too little data, with an invalid address, and without ClickHouse."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask.testing import FlaskClient

from core.home import Home
from core.settings import Settings
from dashboard import freshness
from dashboard.countries import named
from dashboard.data_source import DataSource
from dashboard.formatting import moment
from dashboard.permissions import PAGES
from tests.dashboard.conftest import EmptyEngine, fill
from tests.dashboard.counted import answer_with
from warehouse.engine import Trouble
from warehouse.queries import metrics

Visit = Callable[[str | None], FlaskClient]

WITH_FILTERS = ["overview", "features", "versions", "platforms", "drop", "data", "licensing"]
# The access log lies in the home, and the glossary has no figures: these pages ask ClickHouse nothing. A case is
# part of the desk.
NAMES = [page.name for page in PAGES if page.name not in ("access_log", "glossary", "case")]


REGIONS = {
    "overview": ("overview", "overview-freshness", "overview-figures", "installs_by_version"),
    "features": ("features", "features-freshness"),
    "feature": ("feature", "feature-freshness"),
    "versions": ("versions", "watch", "share_by_version", "versions-freshness"),
    "platforms": ("platforms-php_series", "platforms-crossed", "platforms-freshness"),
    "drop": ("drop", "drop-offers", "drop-freshness"),
    "data": ("data", "data-days", "data-freshness"),
    "desk": ("desk-rows", "desk-freshness"),
    "licensing": ("licensing-rows", "licensing-flags", "licensing-freshness"),
    "trends": ("counts_by_week_of_status", "trends", "trends-freshness"),
    "rights": ("rights", "rights-rows", "rights-freshness"),
    "health": ("health", "health-figures", "health-tables", "beacons_per_hour", "health-freshness"),
}


def page(client: FlaskClient, name: str, search: str = "") -> str:
    """Return the text of the main regions of a page."""
    return str([fill(client, region, search) for region in REGIONS[name]])


@pytest.mark.parametrize("name", WITH_FILTERS)
def test_a_system_without_beacons_says_how_to_post_one(visit: Visit, name: str) -> None:
    """Without beacons the page explains how to post the first one."""
    assert "Post a first beacon: the README has the curl line." in page(visit("admin"), name)


@pytest.mark.parametrize("name", NAMES)
def test_clickhouse_away_is_said_calmly(visit: Visit, engine: EmptyEngine, name: str) -> None:
    """Without ClickHouse the page says so and what still works. It shows no part of the error."""
    engine.away = True
    text = page(visit("admin"), name)
    assert "ClickHouse does not answer" in text
    assert "Beacons are still accepted and stored" in text
    assert "data-again" in text  # a link to the same page would open about:blank
    assert "connection refused" not in text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("exact", "since"), [(True, "since"), (False, "at least since")])
def test_since_when_clickhouse_is_away_is_said(
    visit: Visit, engine: EmptyEngine, name: str, exact: bool, since: str
) -> None:
    """The page shows since when ClickHouse is unavailable, as far as it is known."""
    engine.away = True
    began = datetime.now(UTC) - timedelta(hours=3, minutes=5)
    engine._trouble = Trouble(began, "does not answer (connection refused)", exact)
    text = page(visit("admin"), name)
    assert f"ClickHouse does not answer (connection refused), {since} {moment(began)} (3 hours)" in text


@pytest.mark.parametrize("name", NAMES)
def test_figures_that_stand_still_are_said_to_do_so(
    visit: Visit, engine: EmptyEngine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """If loading stopped, the page shows since when, and the reason that the loader reported."""
    monkeypatch.setattr("dashboard.data_source.KEPT_SECONDS", 0)
    now = datetime.now(UTC)
    engine.has_loader(now - timedelta(seconds=3))
    assert "not all counted yet" not in page(visit("admin"), name)
    late = now - timedelta(hours=2, minutes=1)
    engine.has_loader(late, loader="5170aaaa-", written=late, trouble="it says why", waiting=1234)
    engine.has_loader(now - timedelta(minutes=9), loader="7a0b1e00-", trouble="a column is missing", trouble_since=late)
    engine.has_loader(now - timedelta(minutes=5), loader="510e0000-")
    text = page(visit("admin"), name)
    assert f"Beacons received after {moment(late)} are not all counted yet (2 hours)" in text
    assert f"Loader 5170aaaa last reported on {moment(late)} (2 hours ago)" in text
    assert "Its last error: it says why." in text
    assert f"Loader 7a0b1e00 has failed to load since {moment(late)} (2 hours): a column is missing." in text
    assert "Loader 510e0000 is catching up." in text
    assert "Loader 1a2b3c4d last" not in text
    assert (r"1\u202f234" in text) == (name == "health"), "how much waits is for those who run it"


@pytest.mark.parametrize("name", NAMES)
def test_no_loader_for_a_week_is_said(visit: Visit, name: str) -> None:
    """If no loader reported for a week, the page says that beacons are not counted."""
    assert "No loader has reported in the last 7 days" in page(visit("admin"), name)


def test_health_shows_what_a_loader_tells(visit: Visit, engine: EmptyEngine) -> None:
    """Health shows the loader's report, quarantined rows, and the command that lists them."""
    now = datetime.now(UTC)
    engine.has_loader(now, quarantined=3, waiting=12345, oldest=now - timedelta(seconds=70), pharos="9.9.9")
    engine.has_loader(now, loader="01d00000-", pharos="", free_bytes=0)
    text = page(visit("admin"), "health")
    narrow = r"12\u202f345"  # as Python shows it
    for told in (narrow, "1 minute", "pharos quarantine list", "9.9.9", "older than 0.1", "embedded, version 26.9.1"):
        assert told in text, told


def test_health_knows_its_disk_while_clickhouse_is_away(visit: Visit, engine: EmptyEngine) -> None:
    """Without ClickHouse Health shows the disk and marks the rest as unknown."""
    engine.away = True
    text = page(visit("admin"), "health")
    assert "where the home is" in text
    assert "Unreachable" in text
    assert "unknown" in text


def test_health_shows_what_it_can_where_a_table_is_missing(visit: Visit, engine: EmptyEngine) -> None:
    """With a missing table Health shows the rest, including the loader's report about it."""
    engine.missing = "license_beacons_per_hour"
    engine.has_loader(datetime.now(UTC), trouble="a table is missing", trouble_since=datetime.now(UTC))
    text = page(visit("admin"), "health")
    assert "The figures cannot be read right now: ClickHouse answers with UNKNOWN_TABLE (60)" in text
    assert "has failed to load since" in text
    assert "Loader" in text


def test_rights_shows_how_far_each_request_is(visit: Visit, engine: EmptyEngine) -> None:
    """Rights shows each request with its duration, and the waiting time of the oldest.

    It also says when there is none.
    """
    assert "No requests yet" in page(visit("admin"), "rights")
    now = datetime.now(UTC).replace(tzinfo=None)
    asked = [("access", "done", 70, 60), ("erase", "pending", 190, None), ("rectify", "failed", 9, 1)]
    engine.requests = [
        (number, (action, state, now - timedelta(seconds=began), ended and now - timedelta(seconds=ended)))
        for number, (action, state, began, ended) in enumerate(asked, 0xAB)
    ]
    text = page(visit("admin"), "rights")
    for told in ("10 seconds", "oldest: 3 minutes", "of 3 requests", "00000000000000ac", "rectify", "13 months"):
        assert told in text, told


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("?from=2026-13-01", "The first day (from) must be a date"),
        ("?to=yesterday", "The last day (to) must be a date"),
        ("?from=2026-11-02&to=2026-11-01", "must not be after to"),
        ("?grain=period", "The grain (grain) must be one of day, week, month."),
        ("?today=1", "The choice of today (today) must be yes, or empty."),
        ("?module=" + "x" * 65, "The module (module) must be printable"),
    ],
)
@pytest.mark.parametrize("name", ["overview", "features"])
def test_a_bad_value_in_the_address_is_named(visit: Visit, name: str, search: str, said: str) -> None:
    """An invalid value in the address is named, with a link to the last 28 days."""
    text = page(visit("product"), name, search)
    assert said in text
    assert "Show the last 28 days" in text


def test_a_bad_status_in_the_address_is_named(visit: Visit) -> None:
    """An invalid status is named on the page with that filter."""
    assert "The status (status) must be one of" in page(visit("licensing"), "licensing", "?status=guilty")


def test_what_the_address_holds_beside_the_filters_is_ignored(visit: Visit) -> None:
    """Other parameters of the address are ignored."""
    assert "invalid value" not in page(visit("product"), "overview", "?utm_source=mail")


@pytest.mark.parametrize("name", ["overview", "features"])
def test_installs_under_k_are_said_to_be_there(visit: Visit, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With fewer than k installs the page does not say that there are none."""

    def answer(*_: Any, **__: Any) -> dict[str, Any]:
        return {"rows": [{"bucket": "2026-11-01", "key": None, "value": None}], "fresh_to": "2026-11-23T14:02:00Z"}

    monkeypatch.setattr(metrics, "answer", answer)
    monkeypatch.setattr(metrics, "fresh_to", lambda _engine: "2026-11-23T14:02:00Z")
    monkeypatch.setattr(metrics, "days_with_beacons", lambda *_: (date(2026, 11, 1), {date(2026, 11, 1)}))
    text = page(visit("product"), name)
    assert "Too few installs to show" in text
    assert "Data up to 23 Nov 2026, 14:02 UTC" in text


def test_the_first_day_is_no_gap_and_nothing_to_compare(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first beacons came today: no card is empty, and no day before them is said to have beacons."""
    today = datetime.now(UTC).date()

    def answer(_engine: Any, query: Any, _k: int, **_: Any) -> dict[str, Any]:
        value = 7 if query.end == today else None
        return {
            "rows": [{"bucket": str(query.start), "key": "x" if query.by else None, "value": value}],
            "fresh_to": None,
        }

    monkeypatch.setattr(metrics, "answer", answer)
    monkeypatch.setattr(metrics, "days_with_beacons", lambda *_: (today, {today}))
    client = visit("product")
    assert "There are no complete days to compare yet." in str(fill(client, "changed", "?today=yes"))
    assert "Every day since the first beacon has beacons." in str(fill(client, "data", "?today=yes"))


@pytest.mark.parametrize("name", ["overview", "features"])
@pytest.mark.parametrize("rows", [[], [{"bucket": "2026-11-01", "key": None, "value": None}]], ids=["no row", "null"])
def test_a_module_without_figures_is_named(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, name: str, rows: list[dict[str, Any]]
) -> None:
    """An unknown module and a module of fewer than k installs get the same message."""
    monkeypatch.setattr(metrics, "answer", lambda *_, **__: {"rows": rows, "fresh_to": None})
    monkeypatch.setattr(metrics, "days_with_beacons", lambda *_: (date(2026, 11, 1), {date(2026, 11, 1)}))
    text = page(visit("product"), name, "?module=nope")
    assert 'No figures for the module "nope"' in text
    assert "The module is unknown, or fewer than 5 installs report it." in text


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        (REGIONS["overview"], "Installs are rounded down to multiples of 5, uses to two digits."),
        (["installs_by_os"], "At least 10 of 20 active installs report it."),
        (REGIONS["features"], "Installs are rounded down to multiples of 5, uses to two digits."),
        (["platforms-php_series"], "At least 10 of 20 active installs report it."),
        (["data-reported"], "sums of groups that are rounded down: at least so many."),
    ],
)
@pytest.mark.parametrize("settings", [Settings(figures="rounded")])
def test_rounded_figures_are_asked_for_and_said_to_be_so(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, regions: Sequence[str], said: str
) -> None:
    """With rounding every figure on the page is rounded, and the page says so, also of sums of rounded groups."""
    asked: list[bool] = []

    def answer(_engine: Any, query: Any, _k: int, *, rounded: bool, **_: Any) -> dict[str, Any]:
        asked.append(rounded)
        key = {"keys": ["x", "y"]} if query.by and "," in query.by else {"key": "x" if query.by else None}
        return {"rows": [{"bucket": "2026-11-01", **key, "value": 10 if query.by else 20}], "fresh_to": None}

    monkeypatch.setattr(metrics, "answer", answer)
    client = visit("product")
    assert said in str([fill(client, region) for region in regions])
    assert asked
    assert all(asked)


@pytest.mark.parametrize(
    ("name", "rounded", "said"),
    [("versions", True, True), ("versions", False, False), ("licensing", True, False), ("glossary", True, False)],
)
def test_each_page_of_the_usage_plane_says_that_it_is_rounded(name: str, rounded: bool, said: bool) -> None:
    """Beside the time of the figures. The rows of the license plane are not rounded."""
    now = datetime.now(UTC).isoformat()
    data = cast("DataSource", SimpleNamespace(fresh_to=lambda: now, rounded=rounded, established=False, k=5))
    (shown,) = [one for one in PAGES if one.name == name]
    told, _ = freshness.describe(data, shown, None)
    assert told.endswith(" · installs in multiples of 5") == said


@pytest.mark.parametrize(
    ("name", "role", "said"),
    [("overview", "product", True), ("overview", "admin", False), ("platforms", "product", False)],
)
@pytest.mark.parametrize("settings", [Settings(disclosure="strict")])
def test_a_page_with_cards_that_strict_changes_says_so(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, name: str, role: str, said: bool
) -> None:
    """Those cards leave out installs that others count. An admin's count all."""
    monkeypatch.setattr(metrics, "fresh_to", lambda _engine: datetime.now(UTC).isoformat())
    monkeypatch.setattr(metrics, "days_with_beacons", lambda *_: (date(2026, 1, 1), {}))
    assert ("/glossary#term-strict" in str(fill(visit(role), f"{name}-freshness"))) == said


@pytest.mark.parametrize(("countries", "style"), [([], {"display": "none"}), ([("NL", 9), ("DE", 7)], {})])
def test_a_card_of_what_nobody_tells_is_not_there(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, countries: list[tuple[str, int]], style: dict[str, str]
) -> None:
    """The card of countries is shown only with a country database."""
    answer_with("country", countries, 16, monkeypatch)
    told = fill(visit("product"), "installs_by_country")
    assert told["installs_by_country-card"]["style"] == style
    shown = told["installs_by_country-shown"]["data"]
    assert [row[:2] for row in (shown["rows"] if shown else [])] == [
        [named(code), installs] for code, installs in countries
    ]


def test_every_page_says_that_synthetic_data_is_synthetic(visit: Visit, home: Home) -> None:
    """Every page marks synthetic data."""
    client = visit("product")
    said = "Synthetic demonstration data"
    assert said not in client.get("/_dash-layout").text
    (home.path / "synthetic").touch()
    assert said in client.get("/_dash-layout").text


READERS = f"product:{'ab' * 32} licensing:{'cd' * 32}"


@pytest.mark.parametrize("settings", [Settings(clickhouse_url="http://db.example/pharos", clickhouse_readers=READERS)])
def test_health_says_what_the_readers_logins_do_not_tell(visit: Visit, engine: EmptyEngine) -> None:
    """Without the administrator's login Health does not query table sizes."""
    engine.missing = "system.parts"
    assert "this dashboard has the logins of the readers alone" in page(visit("admin"), "health")
