"""The page that says whom it would hurt to drop support."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from dashboard import filters
from dashboard.data_source import DataSource
from dashboard.filters import read
from dashboard.pages.drop import features, hurt, modules, versions
from dashboard.pages.drop.trend import drawn
from dashboard.regions import Instead
from tests.dashboard.conftest import fill
from tests.dashboard.counted import beacons, count_from

Visit = Callable[[str | None], FlaskClient]
TODAY = filters.today()


class Hurt:
    """Answers that some modules are installed, and that 7 of 9 installs of each would be hurt, or that it is untold."""

    k, rounded, established = 5, False, False

    def __init__(self, *untold: str, bounds: tuple[int, int] | tuple[None, None] = (None, None)) -> None:
        self.untold, self.bounds = untold, bounds

    def ask(self, metric: str, args: Mapping[str, str]) -> dict[str, Any]:
        return {"rows": [{"key": name, "value": 9} for name in (*self.untold, "invoice_pro", "ticket_ai")]}

    def drop_of_each_module(self, args: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
        parts = {name: _part(None if name in self.untold else 7, 9) for name in names}
        bounds = {name: self.bounds if name in self.untold else (7, 7) for name in names}
        return {
            name: {**part, **dict(zip(("at_least", "at_most"), bounds[name], strict=True)), "still_upgrading": part}
            for name, part in parts.items()
        }

    def question(self, name: str, args: Mapping[str, str]) -> dict[str, Any]:
        versions = {"3.2.1": 7, "3.1.0": 6, "3.3.1": None, "(other)": 5}
        rows = [{"version": version, **_part(number, 9)} for version, number in versions.items()]
        whole = self.drop_of_each_module(args, [args["module"]])[args["module"]]
        coverage = {"active": 12, "answered": 9}
        return {**whole, "coverage": coverage, "rows": rows if whole["installs"] else [], "features": []}


def _part(installs: int | None, of: int) -> dict[str, Any]:
    return {"installs": installs, "of": of, "share": None if installs is None else installs / of}


def by_module(search: str, hurt: Hurt | None = None) -> Instead | tuple[Any, ...]:
    chosen = read(search, TODAY, TODAY - timedelta(days=90))
    return modules._read(cast("DataSource", hurt or Hurt()), chosen, search)


@pytest.mark.parametrize("condition", ["version.le=3.2.0", "version_series=3.2", "version=3.2.0&php_series.lt=8.0"])
def test_a_version_is_that_of_one_module(condition: str) -> None:
    """Under a filter by version only the chosen module is listed. Without one the card asks for a module."""
    _, note, shown = cast("tuple[Any, ...]", by_module(f"?module=invoice_pro&{condition}"))
    assert [row[0] for row in shown["rows"]] == ["invoice_pro"]
    assert len(shown["calls"]) == 1
    assert "Versions are those of one module: other modules are not listed." in note
    asked = by_module(f"?{condition}")
    assert isinstance(asked, Instead)
    assert "Choose a module" in str(asked.message)


def test_a_platform_is_that_of_every_module() -> None:
    """Other filters are applied to each module."""
    _, note, shown = cast("tuple[Any, ...]", by_module("?module=invoice_pro&php_series.lt=8.0"))
    assert [row[0] for row in shown["rows"]] == ["invoice_pro", "ticket_ai"]
    assert "one module" not in note
    assert note == ""


def test_rounded_bounds_are_said_to_be_rounded_down() -> None:
    """Otherwise "at most 5" would be false where it is 9 in truth."""
    told = Hurt("bulk_mailer", bounds=(0, 5))
    told.rounded = True
    _, note, _ = cast("tuple[Any, ...]", by_module("?php_series.le=7.4", told))
    assert "rounded down to multiples of 5, also those of at most." in note


def test_a_sum_of_rounded_groups_leaves_a_rest_that_may_report() -> None:
    """Only what exact groups leave is said not to report the value."""
    assert "the others do not report it" in hurt._answered(841, 902, rounded=False)[2]
    assert hurt._answered(825, 900, rounded=True)[2].endswith("at least so many")


def test_the_link_of_a_module_refines_the_page() -> None:
    """It replaces the address, as the module filter does: going back leaves the page."""
    body, _, _ = cast("tuple[Any, ...]", by_module("?php_series.lt=8.0"))
    drawn = str(body.to_plotly_json())
    assert drawn.count("'data-refine': 'yes'") == 2
    assert "data-go" not in drawn


def test_what_is_not_told_is_called_so_and_comes_last() -> None:
    """It may be a large number: it is never said to be small. The largest module is the first of these."""
    found = cast("tuple[Any, ...]", by_module("?php_series.le=7.4", Hurt("bulk_mailer", "domain_tools")))
    body, note, shown = found
    assert note == "Not told: none, or a number, small or large, that would tell a group of fewer than 5 installs."
    assert [row[0] for row in shown["rows"]] == ["invoice_pro", "ticket_ai", "bulk_mailer", "domain_tools"]
    assert str(body.to_plotly_json()).count("not told") == 6
    assert "too few" not in str(body)


def test_a_number_that_is_not_told_has_bounds() -> None:
    """The table then has two numbers and two shares of each module. They are the same where the number is told."""
    found = cast("tuple[Any, ...]", by_module("?php_series.le=7.4", Hurt("bulk_mailer", bounds=(3, 6))))
    _, note, shown = found
    assert shown["columns"][1:5] == ["Hurt, at least", "Hurt, at most", "Share, at least", "Share, at most"]
    assert [row[:5] for row in shown["rows"]] == [
        ["invoice_pro", 7, 7, 7 / 9, 7 / 9],
        ["ticket_ai", 7, 7, 7 / 9, 7 / 9],
        ["bulk_mailer", 3, 6, 3 / 9, 6 / 9],
    ]
    assert "At least, at most: of the installs in (other)" in note


def test_versions_that_a_condition_on_the_version_leaves_out_are_not_listed() -> None:
    """They have no installs hurt by definition. Other conditions leave out none."""

    def listed(condition: str) -> list[str]:
        chosen = read(f"?module=invoice_pro&{condition}", TODAY, TODAY - timedelta(days=90))
        _, note, shown = cast("tuple[Any, ...]", versions._read(cast("DataSource", Hurt()), chosen, ""))
        assert ("Not told: none, or fewer than 5." in note) == ("3.3.1" in str(shown["rows"]))
        return [row[0] for row in shown["rows"]]

    assert listed("version.le=3.2.1") == ["3.2.1", "3.1.0", "(other)"]
    assert listed("version_series=3.2") == ["3.2.1", "(other)"]
    assert listed("version=3.1.0&php_series.lt=8.1") == ["3.1.0", "(other)"]
    assert listed("php_series.lt=8.1") == ["3.2.1", "3.1.0", "3.3.1", "(other)"]


@pytest.mark.parametrize(("rounding", "clear"), [(0, "yes"), (4, "no")])
def test_a_feature_that_rounding_may_set_apart_is_grey(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, rounding: int, clear: str
) -> None:
    """The card says so, and lists it last."""
    row = {"feature": "a", "installs": 10, "share": 10 / 35, "share_of_others": 0.1}
    monkeypatch.setattr(DataSource, "question", lambda *_: {"installs": 35, "of": 100, "features": [row]})
    monkeypatch.setattr(DataSource, "question_rounding", rounding)
    told = fill(visit("admin"), "drop-features", "?module=invoice_pro&php_series.lt=8.0")
    assert [row[-1] for row in told["drop-features-shown"]["data"]["rows"]] == [clear]
    assert ("chance or rounding may" in told["drop-features-note"]["children"]) == bool(rounding)


def report_php(monkeypatch: pytest.MonkeyPatch, **installs: int) -> None:
    """Let so many installs report a series of PHP each, as `v7_4=20`."""
    sent = [
        beacon
        for series, number in installs.items()
        for beacon in beacons(
            [f"{series} {one}" for one in range(number)],
            3,
            "3.3.0",
            platform={"php": f"{series[1:].replace('_', '.')}.1"},
        )
    ]
    count_from(sent, monkeypatch)


@pytest.mark.parametrize(
    ("installs", "between", "offered"),
    [
        ({"v7_3": 3, "v8_1": 30, "v8_3": 3}, ("0% to 17%", "0 to 6 of 36 installs", 6), []),
        ({"v7_3": 3, "v7_4": 20, "v8_1": 30, "v8_3": 3}, ("36% to 46%", "20 to 26 of 56 installs", 6), ["PHP 7.4"]),
        (
            {"v5_6": 9, "v7_3": 3, "v7_4": 20, "v8_1": 30, "v8_3": 3},
            ("45% to 54%", "29 to 35 of 65 installs", 6),
            ["PHP 5.6", "PHP 7.4"],
        ),
    ],
)
def test_a_condition_that_is_not_told_has_bounds_and_leads_to_values_that_are(
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    installs: dict[str, int],
    between: tuple[str, str, int],
    offered: list[str],
) -> None:
    """A condition that splits a folded group is not told. The page offers the values that it covers and that are."""
    report_php(monkeypatch, **installs)
    client = visit("product")
    share, numbers, folded = between
    asked = str(fill(client, "drop-hurt", "?php_series.lt=8.0"))
    assert f"'{share}'" in asked
    assert numbers in asked
    assert f"of the {folded} in (other) it is not told who is hurt" in asked
    assert ("Each of these has an answer of its own:" in asked) == bool(offered)
    for name in ("PHP 5.6", "PHP 7.3", "PHP 7.4", "PHP 8.1"):
        assert (name in asked) == (name in offered)
    trend = fill(client, "share_to_drop", "?php_series.lt=8.0")["share_to_drop-shown"]["data"]
    assert trend["columns"] == ["Week", "Share, at least", "Share, at most"]
    assert trend["rows"]
    assert all(f"{least:.0%} to {most:.0%}" == share for _, least, most in trend["rows"])
    for name in offered:
        series = name.removeprefix("PHP ")
        assert f"'/drop?php_series={series}'" in asked
        told = str(fill(client, "drop-hurt", f"?php_series={series}"))
        assert f"{installs[f'v{series}'.replace('.', '_')]} of {sum(installs.values())} installs" in told


def test_the_cards_of_a_module_say_that_its_number_is_not_told() -> None:
    """None of them says that there are no such installs, or that they are few."""
    search = "?module=invoice_pro&php_series.lt=8.0"
    chosen = read(search, TODAY, TODAY - timedelta(days=90))
    data = cast("DataSource", Hurt("invoice_pro", bounds=(3, 6)))
    told, figures = hurt._of_module(data, chosen)
    assert not told
    assert "'33% to 67%'" in str(figures)
    assert "3 to 6 of 9 installs, of invoice_pro" in str(figures)
    for card in (versions, features):
        found = card._read(data, chosen, search)
        assert isinstance(found, Instead)
        assert "How many installs meet the filters is not told" in str(found.message)


def test_none_is_told_where_all_values_are(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is in `(other)`, and none meets the filters: that is 0%."""
    report_php(monkeypatch, v8_1=20, v8_3=30)
    told = str(fill(visit("product"), "drop-hurt", "?php_series.lt=8.0"))
    assert "'0%'" in told
    assert "0 of 50 installs" in told


def test_a_condition_that_is_told_offers_nothing_else(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure is the answer."""
    report_php(monkeypatch, v7_4=20, v8_1=30)
    told = str(fill(visit("product"), "drop-hurt", "?php_series.lt=8.0"))
    assert "20 of 50 installs" in told
    assert "an answer of its own" not in told


def test_a_filter_by_feature_is_refused_in_a_sentence(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that it takes none, in place of the figures."""
    report_php(monkeypatch, v7_4=20)
    told = fill(visit("product"), "drop", "?feature=invoice.fax_copy&module=invoice_pro")
    assert "What if we drop… takes no filter by feature" in str(told["drop-message"])
    assert told["drop-content"]["style"] == {"display": "none"}


def test_a_range_without_beacons_has_one_message_and_no_forecast(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trend, of weeks before the range, is not shown, and nothing is suggested."""
    report_php(monkeypatch, v7_4=20, v8_1=30)
    for search in ("?php_series.lt=8.1&from=2031-01-01&to=2031-01-31", "?from=2031-01-01&to=2031-01-31"):
        assert "Nothing to suggest" in str(fill(visit("product"), "drop-offers", search))
        told = fill(visit("product"), "drop", search)
        assert "No beacons in this range" in str(told["drop-message"])
        assert told["drop-content"]["style"] == {"display": "none"}


def test_ends_of_life_have_the_small_series_too(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one row, after the others: the shares add up."""
    report_php(monkeypatch, v7_2=3, v7_4=20, v8_0=4, v8_1=23)
    rows = fill(visit("product"), "drop-ends")["drop-ends-shown"]["data"]["rows"]
    assert [(row[0], row[2]) for row in rows] == [("PHP 7.4", 0.4), ("PHP 8.1", 0.46), ("PHP (other)", 0.14)]
    assert rows[-1][1] == "several series"


ORDERS = list(permutations({"php_series.lt": "8.0", "whmcs_series.lt": "9.0", "database_series": "mysql-8.0"}.items()))


@pytest.mark.parametrize("asked", ORDERS)
def test_the_whole_does_not_depend_on_the_order_of_the_filters(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, asked: Sequence[tuple[str, str]]
) -> None:
    """It is the installs that report what all filters are about; of three things, all active installs, by that name."""
    old, new = {"php": "7.4.1", "whmcs": "8.12.1"}, {"php": "8.1.1", "whmcs": "8.12.1"}
    sent = [
        *beacons(range(20), 8, "3.3.0", platform={**old, "database": "mysql-8.0.36"}),
        *beacons(range(20, 50), 8, "3.3.0", platform=new),
        *beacons(range(50, 60), 8, "3.3.0", platform={"php": "8.1.1"}),
    ]
    count_from(sent, monkeypatch)
    client = visit("product")
    all_three = str(fill(client, "drop-hurt", "?" + urlencode(asked)))
    assert "20 of 60 active installs" in all_three
    assert "the share is of all active installs" in all_three
    two = "?" + urlencode([one for one in asked if one[0] != "database_series"])
    told = str(fill(client, "drop-hurt", two))
    assert "20 of 50 installs" in told
    assert "of 60 active installs; the others do not report it" in told
    shown = fill(client, "share_to_drop", two)["share_to_drop-shown"]["data"]
    assert 0.4 in [share for _, share in shown["rows"]]
    assert "by=php_series,whmcs_series&" in shown["calls"][1]


def trend(*shares: float | tuple[float, float] | None) -> tuple[str, int]:
    """What the card says of shares by week, or of two each between which the share is, and the lines of its chart."""
    monday = date(2026, 3, 2)
    bounds = [(share, share) if isinstance(share, float) else share for share in shares]
    chart = drawn([(monday + timedelta(weeks=number), each) for number, each in enumerate(bounds)], [])
    return chart.note, len(chart.figure["data"])


def test_weeks_before_a_later_version_are_no_part_of_the_trend() -> None:
    """All installs are hurt until something later is out. The trend is that of the weeks since then."""
    slower = [0.8**number for number in range(1, 7)]
    slow = [0.9 * 0.95**number for number in range(14)]
    fell = "In the last 6 weeks the share fell from about 80% to 26%. If it goes on so, it is under 2.0% in "
    for before in ([], [None], [1.0] * 10, [None, 1.0, 1.0, None]):
        assert trend(*before, *slower)[0].startswith(fell)
    assert trend(1.0, *slow)[0].startswith("In the last 13 weeks the share fell from about 85% to 46%.")


@pytest.mark.parametrize(
    ("off", "said", "lines"),
    [
        (0.0, "If it goes on so, it is under 2.0% in July 2026.", 2),
        (0.05, "If it goes on so, it is under 2.0% between June and August 2026 (95% interval).", 2),
        (0.22, "it is under 2.0% in May 2026 at the earliest, and perhaps not within two years (95% interval).", 2),
        (0.5, "No clear trend: in the last 9 weeks the share neither fell nor rose by more than chance explains.", 1),
    ],
)
def test_a_forecast_is_as_wide_as_the_weeks_are_uneven(off: float, said: str, lines: int) -> None:
    """Weeks that go up and down leave several months, or no trend at all: then nothing is drawn ahead."""
    found, drawn_lines = trend(*(0.1 * 0.92**number * (1 + off * (-1) ** number) for number in range(9)))
    assert found.endswith(said), found
    assert drawn_lines == lines


def test_a_share_that_rises_has_no_forecast() -> None:
    """It is said that it rises."""
    assert trend(*(0.1 * 1.1**number for number in range(9))) == ("The share rises: it is not expected under 2.0%.", 1)


def test_weeks_with_bounds_are_a_band_without_a_forecast() -> None:
    """Six weeks that are told are enough for a forecast, whatever there is beside them."""
    between = [(0.05, 0.09)] * 3
    said, lines = trend(0.1, *between, 0.09)
    assert said.startswith("In some weeks it is told only between which shares it is")
    assert lines == 3  # the share, and both edges of the band
    falling = [0.9 * 0.8**number for number in range(6)]
    assert "If it goes on so, it is under 2.0% in" in trend(*between, *falling)[0]


@pytest.mark.parametrize("later", [0, 1, 5])
def test_few_weeks_since_then_have_no_forecast(later: int) -> None:
    """Fewer than six weeks below 100% say nothing, however many there are of 100%."""
    assert trend(*[1.0] * 12, *[0.9] * later) == ("There are too few whole weeks to say how it goes on.", 1)
