"""Pages show features and modules with the titles of the catalog, and mark what is no longer stored."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.catalog import Catalog, Entry
from core.home import Home
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from tests.dashboard.conftest import fill
from warehouse.queries import metrics, module_names

Visit = Callable[[str | None], FlaskClient]
TODAY = date(2026, 11, 22)
ENTRY = Entry("feature", "bulk_email", "To size its queue", "Delivery team", "Bulk e-mail", TODAY)
CATALOG = """
mode = "declared"
[[module]]
name = "invoice_pro"
title = "Invoice Pro"
purpose = "why"
owner = "who"
[[feature]]
name = "bulk_email"
title = "Bulk e-mail"
purpose = "To size its queue"
owner = "Delivery team"
[[feature]]
name = "old_engine"
purpose = "To see it go"
owner = "Invoice team"
expires = 2020-06-30
"""


@pytest.mark.parametrize(
    ("mode", "name", "day", "label", "about"),
    [
        ("open", "bulk_email", TODAY, "Bulk e-mail (bulk_email)",
         "bulk_email: To size its queue (owner: Delivery team; stored until 2026-11-22)"),
        ("open", "bulk_email", date(2026, 11, 23), "Bulk e-mail (bulk_email) · expired",
         "bulk_email: To size its queue (owner: Delivery team; stored until 2026-11-22)"),
        ("open", "other", TODAY, "other", "other"),
        ("declared", "other", TODAY, "other · undeclared", "other: not in the catalog"),
    ],
)  # fmt: skip
def test_a_name_with_all_about_it(mode: str, name: str, day: date, label: str, about: str) -> None:
    """A display name has title, name, purpose, owner, and whether it is stored."""
    found = display_name(Catalog(mode, {("feature", "bulk_email"): ENTRY}), "feature", name, day)
    assert (found.label, found.about) == (label, about)


def some_features(_engine: Any, query: Any, _k: int, **_: Any) -> dict[str, Any]:
    """Return four features and a fold, of 100 installs."""
    used = [("bulk_email", 50), ("old_engine", 40), ("undeclared_one", 30)]
    if query.by == "module,feature":
        rows = [{"keys": ["mailer", key], "value": value} for key, value in used]
        rows.append({"keys": ["(other)", "(other)"], "value": 3})
    else:
        rows = [{"key": "mailer" if query.by else None, "value": 100}]
    return {"rows": [{"bucket": "2026-11-01", **row} for row in rows], "fresh_to": None}


def test_the_grid_calls_features_as_the_catalog_does(visit: Visit, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grid shows titles, exports names too, and marks expired and undeclared features."""
    monkeypatch.setattr(metrics, "answer", some_features)
    home.catalog.write_text(CATALOG)
    client = visit("product")
    rows = fill(client, "features-rows")["features-grid"]["getRowsResponse"]["rowData"]
    assert [(row["feature"], row["title"], row["hint"]) for row in rows] == [
        ("bulk_email", "Bulk e-mail", ""),
        ("old_engine", "", "Expired"),
        ("undeclared_one", "", "Undeclared"),
    ]
    assert rows[0]["about"] == "bulk_email: To size its queue (owner: Delivery team)"
    (folded,) = fill(client, "features")["features-grid"]["dashGridOptions"]["pinnedBottomRowData"]
    assert (folded["feature"], folded["title"], folded["hint"]) == ("(other)", "", "")


def test_who_answers_for_a_module_is_named(visit: Visit, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Features, the page of a feature and Versions: purpose and owner, as the catalog has them."""
    monkeypatch.setattr(metrics, "answer", some_features)
    monkeypatch.setattr(metrics, "days_with_beacons", lambda *_: (None, frozenset()))
    home.catalog.write_text(
        f'{CATALOG}\n[[module]]\nname = "mailer"\ntitle = "Mailer"\npurpose = "To plan"\nowner = "Mail team"\n'
    )
    client, search = visit("product"), "?module=mailer"
    said = "To plan (owner: Mail team)"
    row = fill(client, "features-rows", search)["features-grid"]["getRowsResponse"]["rowData"][0]
    assert row["module_about"] == f"mailer: {said}"
    assert fill(client, "features", search)["features-note"]["children"].startswith(f"Mailer (mailer): {said}. 3 feat")
    assert said in str(fill(client, "versions", search)["versions-of"])
    assert said not in fill(client, "features", "")["features-note"]["children"]


def test_without_a_catalog_names_are_as_on_the_wire(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a catalog the grid shows names and marks nothing."""
    monkeypatch.setattr(metrics, "answer", some_features)
    client = visit("product")
    rows = fill(client, "features-rows")["features-grid"]["getRowsResponse"]["rowData"]
    assert {(row["title"], row["hint"], row["about"] == row["feature"]) for row in rows} == {("", "", True)}


def modules(client: FlaskClient) -> Any:
    """Return the options of the module filter. The browser adds the module of the address."""
    return fill(client, "modules")["modules"]["data"]["modules"]


@pytest.mark.parametrize(("name", "open_from", "last"), [("admin", 0, 0), ("product", 1, 0), ("licensing", 1, 1)])
def test_the_module_filter_names_modules_of_days_that_the_role_sees(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, name: str, open_from: int, last: int
) -> None:
    """The filter knows of today what the figures of the role tell: all, in steps, or nothing."""
    today = datetime.now(UTC).date()

    def names(_engine: Any, k: int, *asked: date | None) -> list[str]:
        assert k == 5
        assert asked == (today - timedelta(days=last), today if open_from else None)
        return ["invoice_pro", "ticket_ai"]

    monkeypatch.setattr(module_names, "names", names)
    assert [each["value"] for each in modules(visit(name))] == ["invoice_pro", "ticket_ai"]


def test_the_module_filter_has_titles(visit: Visit, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter shows titles, also after the catalog becomes invalid."""
    monkeypatch.setattr(DataSource, "modules", lambda *_: ["invoice_pro", "one_more"])
    monkeypatch.setattr("core.catalog.CHECK_SECONDS", 0.0)
    client = visit("product")
    home.catalog.write_text("mode = ")
    assert modules(client) == [
        {"value": "invoice_pro", "label": "invoice_pro"},
        {"value": "one_more", "label": "one_more"},
    ]
    home.catalog.write_text(CATALOG)
    named = [
        {"value": "invoice_pro", "label": "Invoice Pro (invoice_pro)"},
        {"value": "one_more", "label": "one_more · undeclared"},
    ]
    assert modules(client) == named
    home.catalog.write_text("mode = ")
    assert modules(client) == named
