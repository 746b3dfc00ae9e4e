"""Shares of features under filters: an install that upgrades within the range counts in both parts of a share."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient

from core.home import Home
from dashboard.pages.features.rows import UNSEEN
from dashboard.pages.overview import lifecycle
from dashboard.pages.overview.moves import PLATFORMS
from tests.dashboard.conftest import fill
from tests.dashboard.counted import beacons, count_from

Visit = Callable[[str | None], FlaskClient]
EXPORT = ["invoice.pdf_export"]
# Of 40 installs 10 use the feature in the period before, and 30 in this one. Then 24 upgrade: fewer installs report
# 3.3.0 last than use the feature on it.
FLEET = [
    *beacons(range(40), 55, "3.3.0"),
    *beacons(range(10), 40, "3.3.0", EXPORT),
    *beacons(range(40), 27, "3.3.0"),
    *beacons(range(30), 20, "3.3.0", EXPORT),
    *beacons(range(24), 5, "4.0.0"),
]
VERSION = "module=invoice_pro&version=3.3.0"
NAMED = f"{VERSION}&name={EXPORT[0]}"
MATCHED = "installs that matched the filters"


@pytest.fixture(autouse=True)
def _fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    count_from(FLEET, monkeypatch)
    monkeypatch.setattr(lifecycle, "last_weeks", lambda *_: [])


def test_on_features_it_is_of_the_installs_that_matched(visit: Visit) -> None:
    """The share, its change and its trend; the note says of which installs, and the card names the call for them."""
    client = visit("admin")
    row = fill(client, "features-rows", VERSION)["features-grid"]["getRowsResponse"]["rowData"][0]
    assert (row["installs"], row["adoption"], row["change"], row["chance"]) == (30, 0.75, 0.5, False)
    trends = fill(client, "features-history", VERSION)["features-history"]["data"]["rows"]
    assert max(share or 0 for share in trends["invoice_pro/invoice.pdf_export"]["trend"]) <= 1
    assert f"40 {MATCHED} on some day." in fill(client, "features", VERSION)["features-note"]["children"]
    assert "40 active installs." in fill(client, "features", "module=invoice_pro")["features-note"]["children"]
    calls = fill(client, "features-table", VERSION)["features-shown"]["data"]["calls"]
    assert "count=reported" in calls[2]


@pytest.mark.parametrize(("used", "chance"), [(14, True), (30, False)])
def test_a_change_that_chance_may_explain_is_marked(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, used: int, chance: bool
) -> None:
    """From 10 of 40 installs to 14 of 40 is chance, to 30 is not. The note says what grey is."""
    sent = [*beacons(range(40), 55, "3.3.0"), *beacons(range(10), 40, "3.3.0", EXPORT)]
    count_from([*sent, *beacons(range(40), 20, "3.3.0"), *beacons(range(used), 5, "3.3.0", EXPORT)], monkeypatch)
    client = visit("admin")
    row = fill(client, "features-rows", "module=invoice_pro")["features-grid"]["getRowsResponse"]["rowData"][0]
    assert (row["installs"], row["chance"]) == (used, chance)
    assert "; grey: chance may explain it." in fill(client, "features", "")["features-note"]["children"]


CATALOG = "".join(
    f'[[feature]]\nname = "{name}"\npurpose = "why"\nowner = "who"\n{module}'
    for name, module in (
        ("invoice.qr", 'module = "invoice_pro"\n'), ("ticket.sla", 'module = "ticket_ai"\n'),
        ("ticket.auto_tag", ""), ("anything", ""),
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("search", "unseen"),
    [
        ("", [("invoice_pro", "invoice.qr"), ("ticket_ai", "ticket.sla"), ("", "anything")]),
        ("module=invoice_pro", [("invoice_pro", "invoice.qr"), ("", "anything")]),
        ("module=ticket_ai", [("ticket_ai", "ticket.sla"), ("", "anything")]),
        (VERSION, []),
    ],
)
def test_a_declared_feature_without_figures_is_listed_under_its_module(
    visit: Visit, home: Home, monkeypatch: pytest.MonkeyPatch, search: str, unseen: list[tuple[str, str]]
) -> None:
    """The module is that of the catalog. Without one, what only another module's installs used is not this one's."""
    ticket = {"module": {"name": "ticket_ai", "version": "1.0"}}
    count_from([*FLEET, *beacons(range(9), 5, "", ["ticket.auto_tag"], **ticket)], monkeypatch)
    home.catalog.write_text(CATALOG)
    rows = fill(visit("admin"), "features-rows", search)["features-grid"]["getRowsResponse"]["rowData"]
    assert [(row["module"], row["feature"]) for row in rows if row["hint"] == UNSEEN] == unseen


def test_on_the_page_of_a_feature_it_is_of_the_installs_that_matched(visit: Visit) -> None:
    """The figures, and the share of each value that an install reported in the range."""
    client = visit("admin")
    facts = str(fill(client, "feature", NAMED))
    assert f"30 of 40 {MATCHED} on some day" in facts
    assert "75%" in facts
    assert "+50 points" in facts
    shown = fill(client, "feature-version", NAMED)["feature-version-shown"]["data"]
    assert shown["rows"] == [["3.3.0", 30, 40, 0.75]]
    assert "count=reported" in shown["calls"][1]


def test_adoption_says_of_which_installs_it_is(visit: Visit) -> None:
    """Under filters they are not all active installs."""
    for search, of in ((NAMED, MATCHED), (NAMED.replace("&version=3.3.0", ""), "active installs")):
        filled = fill(visit("admin"), "adoption_per_bucket", search)
        assert f"For each day: of the {of}, the share" in filled["adoption_per_bucket-note"]["children"]
        assert of.capitalize() in filled["adoption_per_bucket-shown"]["data"]["columns"]


def test_today_tells_its_change_among_the_installs_that_matched(visit: Visit) -> None:
    """The sentence and the table have the same shares, and do not claim them of all installs of the module."""
    client = visit("admin")
    said = str(fill(client, "changed", overview_told=VERSION))
    assert f"rose from 25% to 75% of invoice_pro's {MATCHED}\"" in said
    shown = fill(client, "movers", overview_told=VERSION)["movers-shown"]["data"]
    assert [EXPORT[0], f"invoice_pro's {MATCHED}", 0.25, 0.75, 0.5] in shown["rows"]
    asked = [(call["by"], call.get("count")) for call in map(_parameters, shown["calls"])]
    assert asked[::2] == asked[1::2]
    assert asked[::2] == [
        ("module,feature", None), ("module,version", "latest"), ("module", "reported"), ("module", "latest"),
        *((dimension, "latest") for dimension in PLATFORMS),
    ]  # fmt: skip
    assert "of invoice_pro's installs\"" in str(fill(client, "changed", overview_told="module=invoice_pro"))


def _parameters(call: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(call).query))
