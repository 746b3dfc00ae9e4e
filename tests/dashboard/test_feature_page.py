"""The page of one feature: what its cards leave out, and what they say of it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import pytest
from flask.testing import FlaskClient

from dashboard import filters
from dashboard.data_source import DataSource
from dashboard.filters import Filters, read
from dashboard.pages.feature import retention
from dashboard.regions import Instead
from tests.dashboard.conftest import fill
from tests.dashboard.counted import beacons, count_from

Visit = Callable[[str | None], FlaskClient]
TODAY = filters.today()
MONDAY = TODAY - timedelta(days=TODAY.weekday())
SEARCH = "?module=invoice_pro&name=invoice.fax_copy"


class FirstUsers:
    """Answers how many installs first used the feature in each of the last weeks, and that half of them stayed."""

    def __init__(self, k: int, *installs: int | None) -> None:
        self.k, self.installs = k, installs
        self.asked: Mapping[str, str] = {}

    def chosen(self, search: str) -> Filters:
        return read(search, TODAY, TODAY - timedelta(days=200))

    def question(self, name: str, args: Mapping[str, str]) -> dict[str, Any]:
        self.asked = args
        first = MONDAY - timedelta(weeks=len(self.installs))
        rows = [
            {"bucket": str(first + timedelta(weeks=place)), "installs": number,
             "active": [number, number and number // 2][: len(self.installs) - place]}
            for place, number in enumerate(self.installs)
        ]  # fmt: skip
        return {"rows": rows}


def kept(data: FirstUsers) -> Instead | tuple[Any, ...]:
    return retention._read(cast("DataSource", data), data.chosen(SEARCH), SEARCH)


def test_the_first_weeks_of_the_data_are_no_cohorts() -> None:
    """Four whole weeks are left out, and weeks of which only 100% could be told. Twelve weeks more are asked for."""
    data = FirstUsers(5, 90, 70, 60, 50, 20, 9, None, 10)
    _, note, shown = cast("tuple[Any, ...]", kept(data))
    assert [row[0].partition(" (")[2] for row in shown["rows"]] == ["20)", "10)"]
    assert shown["rows"][0][1:] == [1.0, 0.5]
    assert data.asked["from"] == str(MONDAY - timedelta(weeks=16))
    assert "The first 4 weeks of the data are left out: most of their installs had used it before." in note
    assert "So are weeks with fewer than 10 such installs, of which only 100% could be told." in note


@pytest.mark.parametrize(
    ("k", "installs", "said"),
    [
        (5, (90, 70, 60, 50), "A week is shown if at least 10 installs first used the feature in it."),
        (
            5,
            (90, 70, 60, 50, 9),
            "A week is shown if at least 10 installs first used the feature in it.",
        ),
        (1, (90, 70, 60, 50, 0), "A week is shown if an install first used the feature in it."),
    ],
)
def test_without_later_weeks_it_says_so(k: int, installs: tuple[int, ...], said: str) -> None:
    """Nothing is shown of the first weeks in their place."""
    found = kept(FirstUsers(k, *installs))
    assert isinstance(found, Instead)
    assert said in str(found.message)
    assert "The first 4 weeks of the data are left out" in str(found.message)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("?name=no.such&module=invoice_pro", 'No figures for the feature "no.such"'),
        ("?name=rare&module=invoice_pro", 'No figures for the feature "rare"'),
        ("?name=no.such", 'No figures for the feature "no.such"'),
        ("?name=export&module=nope", 'No figures for the module "nope"'),
        ("?name=export&module=invoice_pro&from=2024-01-01&to=2024-01-28", "No beacons in this range"),
    ],
)
def test_a_feature_without_figures_has_one_message(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, search: str, said: str
) -> None:
    """It is the same for a name that nobody reports and for one that few do."""
    count_from([*beacons(range(30), 3, "3.3.0", ["export"]), *beacons(range(3), 2, "3.3.0", ["rare"])], monkeypatch)
    monkeypatch.setattr(DataSource, "modules", lambda _: ["invoice_pro"])
    told = fill(visit("product"), "feature", search)
    assert said in str(told["feature-message"])
    assert told["feature-content"]["style"] == {"display": "none"}
    if "feature" in said:
        assert "No install, or fewer than 5 installs, reported it in this range." in str(told)


def test_without_a_module_the_page_says_whose_figures_it_shows(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the module with the most installs that use the feature, with links to the others."""
    other = {"module": {"name": "ticket_ai", "version": "1.0.0"}}
    sent = [*beacons(range(30), 3, "3.3.0", ["export"]), *beacons(range(20), 3, "", ["export"], **other)]
    count_from(sent, monkeypatch)
    told = str(fill(visit("product"), "feature", "?name=export"))
    assert "No module is chosen: these are the figures of invoice_pro, where most installs use it." in told
    assert "/feature?name=export&module=ticket_ai" in told
    assert "No module is chosen" not in str(fill(visit("product"), "feature", "?name=export&module=ticket_ai"))


def test_shares_of_versions_are_said_not_to_compare(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install was on each for other days. Of platforms that is not said."""
    count_from(beacons(range(30), 3, "3.3.0", ["export"], platform={"php": "8.1.1"}), monkeypatch)
    for dimension, compares in (("version", False), ("php_series", True)):
        told = fill(visit("product"), f"feature-{dimension}", "?name=export&module=invoice_pro")
        assert ("their shares do not compare" in str(told)) != compares


@pytest.mark.parametrize(("rounding", "clear"), [(0, "yes"), (4, "no")])
def test_features_that_rounding_may_bring_together_are_grey(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, rounding: int, clear: str
) -> None:
    """The card says so, and lists them last."""
    row = {"features": ["a", "b"], "installs": 50, "expected": 40.0}
    count_from([*beacons(range(100), 5, "4.0.0", ["a"]), *beacons(range(100, 300), 5, "4.0.0")], monkeypatch)
    monkeypatch.setattr(DataSource, "question", lambda *_: {"rows": [row], "of": 300, "suppressed": 0})
    monkeypatch.setattr(DataSource, "question_rounding", rounding)
    told = fill(visit("admin"), "feature-together", "?module=invoice_pro&name=a")
    assert told["feature-together-shown"]["data"]["rows"] == [["b", 50, 40, "1.2 ×", clear]]
    assert ("chance or rounding may" in told["feature-together-note"]["children"]) == bool(rounding)
