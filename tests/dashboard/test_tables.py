"""Tables, heat maps, links and the charts of versions: for none, one and many rows."""

from datetime import date, timedelta
from typing import Any

import pytest
from dash import dcc, html

from dashboard import mantine as dmc
from dashboard.charts.palette import PALETTE, colors
from dashboard.charts.releases import adoption_since_release, release_watch
from dashboard.charts.shares import share_by_version, share_to_drop
from dashboard.charts.style import GREY
from dashboard.conditions import all_in_words, database_thresholds, thresholds
from dashboard.crossing import read
from dashboard.links import filter_link, link, parameter
from dashboard.pages.data.by_day import parts
from dashboard.pages.drop.ends import until
from dashboard.pages.drop.trend import Point, drawn
from dashboard.pages.feature.retention import cells
from dashboard.pages.versions.by_week import stacked
from dashboard.projection import project
from dashboard.static_html import StaticHtml, static
from dashboard.tables import Change, Linked, Offer, Part, heat_map, points, table

MONDAYS = [date(2026, 8, 31) + timedelta(weeks=number) for number in range(12)]


def texts(component: Any) -> list[str]:
    """Return all texts of a component, in order."""
    if component is None or isinstance(component, (int, float)):
        return []
    if isinstance(component, str):
        return [component] if component else []
    if isinstance(component, StaticHtml):
        return static_texts(component.html)
    if isinstance(component, list):
        return [text for one in component for text in texts(one)]
    return texts(getattr(component, "children", None))


def static_texts(node: Any) -> list[str]:
    if isinstance(node, list):
        _, _, *inside = node
        return [text for one in inside for text in static_texts(one)]
    return [str(node)] if node else []


ROWS: list[tuple[Any, ...]] = [
    (Linked("4.0.0", "/versions?module=x"), 1234, Part(0.4567), Change(-0.0812)),
    ("(other)", None, Part(None), Change(None)),
]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_table_and_its_file_have_the_same_rows(number: int) -> None:
    """Numbers are numbers in the file, shares too; what is hidden is empty there and told in the table."""
    body, note, shown = table("Versions", ("Version", "Installs", "Share", "Change"), ROWS[:number], ["/api"], "a note")
    assert note == "a note"
    assert shown["rows"] == [["4.0.0", 1234, 0.4567, -0.0812], ["(other)", None, None, None]][:number]
    assert shown["calls"] == ["/api"]
    assert shown["hidden"] == (dict.fromkeys(("Installs", "Share"), "not told") if number == 2 else {})
    told = ["4.0.0", "1\u202f234", "46%", "−8.1 points", "(other)", "not told", "not told", "–"][: 4 * number]
    assert texts(body) == ["Versions", "Version", "Installs", "Share", "Change", *told]


def test_a_link_that_names_nothing_is_no_column_of_the_file() -> None:
    """The table shows it, also where a row has none. Of the other columns the file has the units."""
    rows = [("4.0.0", Offer("drop?", "/drop"), Change(0.1)), ("(other)", Offer(""), Change(None))]
    body, _, shown = table("Versions", ("Version", "Up to it", "Change"), rows, [])
    assert (shown["columns"], shown["rows"]) == (["Version", "Change"], [["4.0.0", 0.1], ["(other)", None]])
    assert shown["units"] == {"Change": "points"}
    assert "drop?" in texts(body)


def test_days_are_no_points() -> None:
    """A dash among them has no unit."""
    rows: list[tuple[Any, ...]] = [("3.3.0 → 4.0.0", 12), ("(other) → (other)", Change(None))]
    shown = table("Upgrades", ("From → to", "Days"), rows, [])[2]
    assert (shown["units"], shown["hidden"]) == ({}, {})


@pytest.mark.parametrize(("clear", "dimmed"), [(None, 0), (0, 2), (1, 1), (2, 0)])
def test_rows_that_chance_may_explain_are_dimmed(clear: int | None, dimmed: int) -> None:
    """Those after the clear ones."""
    rows: list[tuple[str]] = [("one",), ("other",)]
    body, _, shown = table("Features", ("Feature",), rows, [], clear=clear)
    assert str(body.html).count("'className': 'dim'") == dimmed
    assert shown["rows"] == [["one"], ["other"]]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_heat_map_has_a_cell_for_each_share(number: int) -> None:
    """A hidden share is an empty cell, and a share over 1 is no deeper than 1."""
    rows: list[tuple[str, list[float | None]]] = [("8.12 (50)", [0.25, None]), ("8.13 (60)", [1.2, 0.004])]
    body, _, shown = heat_map("WHMCS by PHP", ("WHMCS", "8.1", "8.2"), rows[:number], [])
    assert texts(body)[4:] == ["8.12 (50)", "25%", "8.13 (60)", "100%", "0.4%"][: (0, 2, 5)[number]]
    assert shown["rows"] == [["8.12 (50)", 0.25, None], ["8.13 (60)", 1.2, 0.004]][:number]


def test_differences_are_told_in_points() -> None:
    """A sign, at most one decimal, and no sign for no change."""
    assert [points(one) for one in (0.034, -0.08, 0.0001, None)] == ["+3.4 points", "−8 points", "no change", "–"]


@pytest.mark.parametrize("chance", [False, True])
def test_a_change_that_may_be_chance_is_grey(chance: bool) -> None:
    """Its number is the same, in the table and in the file."""
    body, _, shown = table("Versions", ("Version", "Change"), [("4.0.0", Change(0.0767, chance))], [])
    assert texts(body)[-1] == "+7.7 points"
    assert shown["rows"] == [["4.0.0", 0.0767]]
    assert ("'className': 'dim'" in str(body.html)) == chance


def test_a_link_keeps_the_filters_and_changes_some() -> None:
    """A change to nothing removes a parameter. Nothing filters by `(other)`."""
    search = "?module=x&php_series.lt=8.0&range=90d"
    assert link("/drop", search, {"range": ""}) == "/drop?module=x&php_series.lt=8.0"
    assert link("/", None) == link("/", "") == "/"
    assert (
        filter_link("/platforms", "?module=x", "os_release", "debian 12") == "/platforms?module=x&os_release=debian+12"
    )
    assert filter_link("/platforms", search, "php", "(other)") == filter_link("/", search, "php", "(rest)") == ""
    assert parameter(search, "range") == "90d"
    assert parameter(None, "range") == ""


def test_conditions_are_told_in_words() -> None:
    """All of them, joined: an install must meet all."""
    assert all_in_words({}) == ""
    told = all_in_words({"whmcs_series.le": "8.10", "php_series.lt": "8.0"})
    assert told == "PHP below 8.0 and WHMCS up to 8.10"
    assert all_in_words({"country": "DE", "php_series.in": "7.4,8.0"}) == "Country DE and PHP one of 7.4, 8.0"


def test_suggestions_select_the_oldest() -> None:
    """Versions compare as versions, and what is no version is left out."""
    assert thresholds("php_series", [], 3) == []
    assert thresholds("php_series", ["8.1"], 3) == []
    found = thresholds("whmcs_series", ["8.13", "8.9", "(other)", "8.10"], 3)
    assert found == [("whmcs_series.lt", "8.10"), ("whmcs_series.lt", "8.13")]


def test_suggested_databases_are_the_oldest_of_each_product() -> None:
    """Not the ones that few installs have: those may be the newest."""
    values = ["mysql-8.4", "mariadb-10.11", "mysql-5.7", "mariadb-10.6", "mysql-8.0", "(other)", "sqlite-3.45"]
    assert database_thresholds(values, 1) == [
        ("database_series.lt", "mariadb-10.11"), ("database_series.lt", "mysql-8.0"),
    ]  # fmt: skip
    assert database_thresholds([], 1) == []


def test_an_end_of_life_is_told_with_whether_it_is_over() -> None:
    """The last day itself is not over."""
    today = date(2026, 12, 31)
    assert until(None, today) == "not known"
    assert until(today, today) == "31 Dec 2026"
    assert until(date(2022, 11, 28), today) == "28 Nov 2022 (over)"


def test_crossed_rows_are_read_with_what_is_folded() -> None:
    """A bucket without figures has one empty key; groups in `(other)` are counted."""
    assert read([{"keys": [""], "value": None}]) == ({}, 0)
    rows = [{"keys": ["8.13", "8.2"], "value": 40}, {"keys": ["(other)", "(other)"], "value": 9}]
    assert read(rows) == ({("8.13", "8.2"): 40}, 9)


def test_shares_of_a_week_add_up_to_all() -> None:
    """Older versions first; beyond the palette the smallest are in `(rest)`."""
    assert stacked({}, {}) == {}
    week = MONDAYS[0]
    assert stacked({"3.1": {week: 30}, "3.10": {week: 60}}, {week: 90}) == {"3.1": [1 / 3], "3.10": [2 / 3]}
    many = stacked({f"1.{number}": {week: 10 + number} for number in range(12)}, {week: 186})
    assert len(many) == len(PALETTE) + 1
    assert sum(values[0] or 0 for values in many.values()) == pytest.approx(1)
    assert list(many)[-1] == "(rest)"


@pytest.mark.parametrize("number", [0, 1, 12])
def test_versions_are_stacked_by_week(number: int) -> None:
    """A trace for each version, with a point for each week."""
    figure = share_by_version(MONDAYS[:number], {"3.2": [0.6] * number, "(other)": [0.4] * number})
    assert [trace["name"] for trace in figure["data"]] == ["3.2", "(other)"]
    assert all(len(trace["x"]) == number for trace in figure["data"])
    assert share_by_version([], {})["data"] == []


def test_other_is_grey_and_no_two_versions_share_a_color() -> None:
    """Beyond the palette names are grey."""
    names = [f"1.{number}" for number in range(len(PALETTE))]
    found = colors([*names, "(other)", "(rest)", "2.0"])
    assert len({found[name] for name in names}) == len(PALETTE)
    assert found["(other)"] == found["(rest)"] == found["2.0"] == GREY


@pytest.mark.parametrize("number", [1, 12])
def test_a_share_to_drop_goes_on_dotted_until_it_is_low(number: int) -> None:
    """With a projection there is a dotted line to the day; the sentence under the chart names the month."""
    shares: list[Point] = [(monday, (0.2 * 0.9**index,) * 2) for index, monday in enumerate(MONDAYS[:number])]
    found = drawn(list(shares), [])
    assert len(found.shown.rows) == number
    assert len(found.figure["data"]) == (1 if number == 1 else 2)
    assert ("In the last 12 weeks the share fell from about 20% to 6.3%." in found.note) == (number == 12)
    unknown: list[Point] = [(MONDAYS[0] - timedelta(weeks=back), None) for back in (2, 1)]
    assert drawn([*unknown, *shares], []).figure == found.figure  # weeks before the first are not drawn
    slow = drawn([(monday, (0.2 * 0.993**index,) * 2) for index, monday in enumerate(MONDAYS)], [])
    assert slow.note.endswith("If it goes on so, it is under 2.0% in more than two years.")
    assert slow.figure["data"][1]["x"][-1] < str(MONDAYS[-1] + timedelta(days=200))  # years ahead would hide the past
    assert share_to_drop([], None, 0.02, None)["data"][0]["x"] == []
    assert project([]) is None


@pytest.mark.parametrize("number", [0, 1, 3])
def test_each_release_has_a_line(number: int) -> None:
    """A release with one day is a point."""
    curves = {f"3.{index}": [0.1] * (index + 1) for index in range(number)}
    data = adoption_since_release(curves)["data"]
    assert [trace["mode"] for trace in data] == ["markers", "lines", "lines"][:number]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_release_is_drawn_over_the_band(number: int) -> None:
    """Without earlier releases there is no band."""
    data = release_watch("4.0", [0.1] * number, [(0.1, 0.2)] * number)["data"]
    assert len(data) == (2 if number else 1)


def test_weeks_that_are_not_over_are_empty_cells() -> None:
    """A later cohort has fewer weeks."""
    assert cells([10, None, 5], 10, 4) == [1.0, None, 0.5, None]
    assert cells([], 10, 2) == [None, None]
    assert parts({"2026-11-01": 5, "2026-11-02": 10}, [date(2026, 11, day) for day in (1, 2, 3)]) == [0.5, 1.0, None]


def test_static_html_has_links_texts_and_properties() -> None:
    """A link to another page is followed by `assets/links.js`; nothing in it is a component of Dash."""
    drawn = static(
        html.Td(["a", None, dcc.Link("b", href="/x"), html.A("c", href="?y", **{"data-refine": "yes"})], className="d")
    )
    assert drawn.to_plotly_json() == {
        "namespace": "dashboard",
        "type": "StaticHtml",
        "props": {
            "html": [
                "td",
                {"className": "d"},
                "a",
                None,
                ["a", {"href": "/x", "data-go": "yes"}, "b"],
                ["a", {"href": "?y", "data-refine": "yes"}, "c"],
            ]
        },
    }


@pytest.mark.parametrize("inside", [html.Span(id="x"), dmc.Badge("x"), dcc.Loading("x")])
def test_what_dash_must_know_is_not_static(inside: Any) -> None:
    """What has an id, and any component that is no HTML."""
    with pytest.raises(ValueError, match="not static HTML"):
        static(html.Div([inside]))
