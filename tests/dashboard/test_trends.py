"""The trends of the license plane, as the page and the read API tell them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient

from dashboard import trends_api
from dashboard.pages.trends import flags
from tests.dashboard.conftest import fill
from tests.dashboard.counted import YESTERDAY, beacons, count_from
from warehouse.cases.trends import Conversion, Trends, estimated


def found(sampled: float) -> Trends:
    """The picture of a module with one flagged install in four."""
    conversion = [Conversion(date(2026, 10, 1), 40, 10, 12), Conversion(date(2026, 11, 1), 20, None, 2)]
    unlicensed = [estimated("invoice_pro", "3.2", 200, 5, 45, 12, 8)]
    return Trends({date(2026, 11, 23): {"unlicensed": 7}}, conversion, unlicensed, 12, 8, sampled)


@pytest.mark.parametrize(("sampled", "said"), [(1.0, False), (0.25, True)])
def test_an_estimate_from_a_sample_says_so(sampled: float, said: bool) -> None:
    """On the page, and in the answer of the read API, which says how large the sample is."""
    answer = trends_api._told(found(sampled))
    assert jsonschema_rs.is_valid(trends_api.SCHEMA, answer)
    assert (answer["exact"], answer.get("sampled")) == ((False, 0.25) if said else (True, None))
    for shown in (flags._conversion(found(sampled), "call"), flags._unlicensed(found(sampled), "call", 5)):
        assert ("estimated from a random sample of 25% of them" in str(shown)) == said


def test_cards_that_do_not_follow_the_range_say_so() -> None:
    """Those of the rules are of days of their own, which they name, whatever the range of the page."""
    covered = {
        "26 weeks": flags._flags(found(1.0), "call").note,
        "last 12 months": flags._conversion(found(1.0), "call")[1],
        "last 30 days": flags._unlicensed(found(1.0), "call", 5)[1],
    }
    for days, note in covered.items():
        assert days in note
        assert "The range does not change this." in note


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("", "once a week, under its latest report in it. An install with several modules counts once, by the latest"),
        ("?module=invoice_pro", "once a week, under its latest report in it."),
        ("?module=invoice_pro&feature=f1", "under each value that it reported in the week."),
    ],
)
def test_the_weeks_of_a_chart_are_said_and_how_an_install_counts(
    visit: Callable[[str | None], FlaskClient], monkeypatch: pytest.MonkeyPatch, search: str, said: str
) -> None:
    """A week has more days than some ranges, and an install with several modules reports several states."""
    count_from(beacons(range(9), 9, "4.0.0", ["f1"], license={"status": "licensed"}), monkeypatch)
    note = fill(visit("licensing"), "counts_by_week_of_status", search)["counts_by_week_of_status-note"]["children"]
    assert note.startswith("The whole weeks of the range, at least 13. An install counts ")
    assert said in note
    assert ("several modules" in note) == (not search)


def test_without_a_flag_there_are_no_bounds() -> None:
    """No flag is no proof: a version without one has no estimate of 0%, and no interval without a width."""
    picture = replace(found(1.0), unlicensed=[estimated("invoice_pro", "4.0", 41, 0, 0, 12, 8)])
    body, _, shown = flags._unlicensed(picture, "call", 5)
    assert shown["rows"] == [["invoice_pro 4.0", "no flag", "–", "–", 41, 0]]
    assert "0%" not in str(body)


def test_a_status_that_may_be_folded_in_a_week_is_not_called_zero(
    visit: Callable[[str | None], FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the week in which 3 installs are on trial they are in `(other)` with the smallest group beside them."""
    back = (YESTERDAY + timedelta(days=1)).weekday() + 2  # the Friday of the last whole week

    def of(installs: range, weeks: int, status: str) -> list[Any]:
        return beacons(installs, back + 7 * weeks, "4.0.0", license={"status": status})

    sent = [*of(range(40), 2, "licensed"), *of(range(40, 49), 2, "trial"), *of(range(40), 1, "licensed")]
    sent += [*of(range(40, 43), 1, "trial"), *of(range(43, 46), 1, "expired"), *of(range(40), 0, "licensed")]
    count_from(sent, monkeypatch)
    told = fill(visit("licensing"), "counts_by_week_of_status", "?module=invoice_pro")
    shown = told["counts_by_week_of_status-shown"]["data"]
    assert shown["columns"] == ["Week", "licensed", "trial", "(other)"]
    assert [row[1:] for row in shown["rows"]] == [[40, 9, 0], [40, None, 6], [40, 0, 0]]
    note = told["counts_by_week_of_status-note"]["children"]
    assert "A value without a number in a week is in (other), or no install reports it." in note
