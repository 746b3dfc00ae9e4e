"""What changed on Today: what is new takes part, and no figure is claimed of what was too few before."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.catalog import Catalog
from dashboard import filters
from dashboard.charts.series import first as monday
from dashboard.formatting import day, days
from dashboard.pages.overview import lifecycle
from tests.dashboard.conftest import fill
from tests.dashboard.counted import YESTERDAY, beacons, count_from
from tests.fleet.reference import Beacon

Visit = Callable[[str | None], FlaskClient]
OF = "invoice_pro's installs"
EXPORT, REMINDERS = "invoice.pdf_export", "invoice.reminders"


def moved(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, *sent: list[Beacon]) -> tuple[list[Any], str]:
    """The rows of "What changed most", and the sentences, of so many beacons."""
    count_from([beacon for beacons in sent for beacon in beacons], monkeypatch)
    monkeypatch.setattr(lifecycle, "last_weeks", lambda *_: [])
    search = "module=invoice_pro"
    shown = fill(client, "movers", overview_told=search).get("movers-shown", {"data": {"rows": []}})
    return shown["data"]["rows"], str(fill(client, "changed", overview_told=search))


def a_day(back: int) -> date:
    return YESTERDAY - timedelta(days=back)


FLEET = ((range(30), 55), (range(20), 27), (range(40), 20))


@pytest.mark.parametrize(
    ("sent", "first", "last", "told"),
    [
        (FLEET, 27, 0, "40 installs were active, 33.3% more than in the 28 days before (30)."),
        (FLEET, 28, 1, f"{days(a_day(28), a_day(1))}: 40 installs were active, 33.3% more than in the 28 days before"),
        (FLEET, 20, 20, f"{day(a_day(20))}: 40 installs were active, 100.0% more than on {day(a_day(27))} (20)."),
        (FLEET, 21, 19, "40 installs were active, 100.0% more than on the same days of the week before (20)."),
        (FLEET, 55, 28, "30 installs were active. There is nothing complete to compare with."),
        (FLEET[1:], 20, 0, "40 installs were active in the last 21 days. There is nothing complete to compare with."),
    ],
    ids=["until yesterday", "past", "a day", "some days", "nothing before", "too little before"],
)
def test_days_are_named_and_compared_by_one_rule(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, sent: Any, first: int, last: int, told: str
) -> None:
    """The sentence and the chart compare with the same days, or both with none."""
    count_from([one for installs, back in sent for one in beacons(installs, back, "3.3.0")], monkeypatch)
    monkeypatch.setattr(lifecycle, "last_weeks", lambda *_: [])
    client, search = visit("product"), f"from={a_day(first)}&to={a_day(last)}"
    assert told in str(fill(client, "changed", overview_told=search))
    note = str(fill(client, "installs_per_bucket", f"?{search}")["installs_per_bucket-note"])
    assert ("Grey line" in note) == ("than" in told)


def test_a_week_that_is_not_the_last_one_is_named(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last whole week of a past range has its dates."""
    count_from(beacons(range(40), 20, "3.3.0"), monkeypatch)
    this = monday(filters.today(), "week")
    for weeks, told in ((1, "In the last whole week"), (3, "In the week ")):
        start = this - timedelta(weeks=weeks)
        week = {"bucket": str(start), "new": 26, "lost": 6}
        monkeypatch.setattr(lifecycle, "last_weeks", lambda *_, week=week: [week])
        said = str(fill(visit("product"), "changed", overview_told=""))
        named = f"{told}{days(start, start + timedelta(days=6))}," if weeks > 1 else told
        assert f"{named} 26 installs were new and 6 were lost" in said


@pytest.mark.parametrize("module", ["", "&module=invoice_pro"])
@pytest.mark.parametrize("condition", ["", "&license_status=licensed"])
def test_a_figure_says_itself_how_an_install_meets_the_filters(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, module: str, condition: str
) -> None:
    """By the latest report of a week, or of the range; of all modules, that of any of them."""
    count_from(beacons(range(40), 5, "3.3.0", license={"status": "licensed"}), monkeypatch)
    week = {"bucket": str(a_day(13)), **dict.fromkeys(("new", "returning", "resurrected", "lost"), 9)}
    monkeypatch.setattr(lifecycle, "last_weeks", lambda *_: [week, week])
    client, search = visit("product"), f"?range=28d{module}{condition}"
    cards = fill(client, "lifecycle", overview_told=search)
    for name in lifecycle.CARDS:
        assert (", by the latest report of a week" in cards[f"week-{name}-hint"]["children"]) == bool(condition)
    met = " with License status licensed" if condition else ""
    assert f"9 installs{met} were new and 9 were lost" in str(fill(client, "changed", overview_told=search))
    active = fill(client, "overview-figures", search)["active_installs-hint"]["children"]
    assert (", by the latest report of any of their modules" in active) == (bool(condition) and not module)


def test_what_is_new_rose_from_nothing(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was folded in the period before: a version and a feature that are not in it had no install."""
    rows, said = moved(
        visit("product"),
        monkeypatch,
        beacons(range(40), 55, "3.3.0", [EXPORT]),
        beacons(range(40), 20, "3.3.0", [EXPORT]),
        beacons(range(24), 5, "4.0.0", [REMINDERS]),
    )
    assert ["invoice_pro 4.0.0", OF, 0, 0.6, 0.6] in rows
    assert [REMINDERS, OF, 0, 0.6, 0.6] in rows
    assert f"{REMINDERS} rose from 0% to 60% of {OF}, above all on 4.0.0" in said


@pytest.mark.parametrize(
    ("old", "new", "blamed"), [((31, 155), (32, 211), False), ((44, 155), (13, 211), True)], ids=["alike", "on one"]
)
def test_a_release_is_blamed_only_for_what_fell_on_it(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, old: tuple[int, int], new: tuple[int, int], blamed: bool
) -> None:
    """It has more installs than before, and with them most of the fall: that alone is no reason."""

    def period(back: int, old: tuple[int, int], new: tuple[int, int]) -> list[Beacon]:
        sent: list[Beacon] = []
        for version, (users, of) in {"3.3.0": old, "3.3.1": new}.items():
            names = [f"{version} {number}" for number in range(of)]
            sent += [*beacons(names[:users], back, version, [EXPORT]), *beacons(names[users:], back, version)]
        return sent

    begun = beacons(range(9), 55, "3.3.0")
    _, said = moved(visit("product"), monkeypatch, begun, period(40, (69, 241), (30, 118)), period(5, old, new))
    where = re.search(rf"{EXPORT} fell from \S+ to \S+ of {OF}(.*?)\"", said)
    assert where is not None
    assert where[1] == (", above all on 3.3.1" if blamed else "")


@pytest.mark.parametrize("released", [None, a_day(2)])
def test_a_new_release_is_blamed_only_for_its_own_days(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, released: date | None
) -> None:
    """The feature is used once a month: who has the release for two days has hardly used it on it."""
    monkeypatch.setattr(Catalog, "releases", lambda *_: {"4.0.0": released} if released else {})
    sent = [*beacons(range(200), 55, "3.3.0", [EXPORT]), *beacons(range(100), 20, "3.3.0", [EXPORT])]
    sent += [*beacons(range(100, 200), 20, "3.3.0"), *beacons(range(100, 200), 2, "4.0.0")]
    _, said = moved(visit("product"), monkeypatch, sent, beacons(range(100), 2, "3.3.0"))
    assert f"{EXPORT} fell from 100% to 50% of {OF}" in said
    assert ("above all on 4.0.0" in said) == (released is None)


def test_what_may_have_been_folded_rose_from_too_few(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six installs had versions and features that were folded: those of the next period may be among them."""
    rows, said = moved(
        visit("product"),
        monkeypatch,
        beacons(range(34), 55, "3.3.0", [EXPORT]),
        beacons(range(34, 37), 55, "3.2.0", ["a"]),
        beacons(range(37, 40), 55, "3.1.0", ["b"]),
        beacons(range(40), 20, "3.3.0", [EXPORT]),
        beacons(range(24), 5, "4.0.0", [REMINDERS]),
    )
    assert ["invoice_pro 4.0.0", OF, None, 0.6, None] in rows
    assert [REMINDERS, OF, None, 0.6, None] in rows
    assert f"{REMINDERS} rose to 60% of {OF}, from too few to show" in said


@pytest.mark.parametrize("few", [0, 4])
def test_what_was_not_told_at_all_is_not_compared(visit: Visit, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Where no feature was told before, none or few used it: neither may be said."""
    rows, said = moved(
        visit("product"),
        monkeypatch,
        beacons(range(40), 55, "3.3.0"),
        beacons(range(few), 40, "3.3.0", [EXPORT]),
        beacons(range(40), 20, "3.3.0", [EXPORT]),
    )
    assert rows == []
    assert EXPORT not in said


def test_a_hidden_figure_of_the_last_week_is_not_called_small() -> None:
    """Under a filter it may be a large number."""
    monday = {"bucket": "2026-11-23", "returning": None}
    assert lifecycle._figure([monday, monday], "returning", 5).hint == "not told, 23 – 29 Nov 2026"


def test_a_hidden_share_of_licensed_installs_says_why(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card does not claim that there are none."""
    count_from(beacons(range(9), 5, "3.3.0", license={"status": "expired"}), monkeypatch)
    told = fill(visit("product"), "overview-figures")
    assert told["licensed_installs-value"]["children"] == "–"
    assert told["licensed_installs-hint"]["children"].startswith("not told: none, or it would tell a group of fewer")
