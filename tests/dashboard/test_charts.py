"""The charts: what is drawn, omitted or gray."""

import itertools
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from dashboard.charts import over_time
from dashboard.charts.registry import CHARTS
from dashboard.charts.series import Line, line, line_of_hours, ratio
from dashboard.charts.shares import weekly_axis
from dashboard.gaps import Received
from warehouse.queries import metrics

TODAY = date(2026, 11, 23)  # a Monday


def rows(*pairs: tuple[str, int | None]) -> list[dict[str, Any]]:
    return [{"bucket": "2026-11-01", "key": key, "value": value} for key, value in pairs]


def buckets(**values: int | None) -> list[dict[str, Any]]:
    """Return buckets: `d22=5` is 5 installs on the 22nd."""
    return [{"bucket": f"2026-11-{name[1:]}", "key": None, "value": value} for name, value in values.items()]


# Of every day there are beacons of some module.
ALWAYS = Received(date(2025, 1, 1), [date(2025, 1, 1) + timedelta(days=number) for number in range(800)])


def november(*numbers: int) -> list[date]:
    return [date(2026, 11, number) for number in numbers]


def days(values: list[dict[str, Any]], start: int, end: int, received: Received = ALWAYS, k: int = 5) -> Line:
    return line(values, date(2026, 11, start), date(2026, 11, end), "day", TODAY, received, k=k)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_its_query_its_figure_function_and_its_key(name: str) -> None:
    """A chart's name is that of its query, its figure function and its key."""
    chart = CHARTS[name]
    assert name.startswith(chart.figure.__name__)
    if chart.metric in metrics.METRICS:
        metrics.parse(chart.metric, {**chart.args, "grain": chart.args.get("grain", "day")}, TODAY)


@pytest.mark.parametrize("number", [0, 1, 13])
def test_labels_of_weeks_are_their_first_days(number: int) -> None:
    """They stand under bars of the data, as many as there is room for."""
    weeks = [date(2026, 8, 31) + timedelta(weeks=back) for back in range(number)]
    axis = weekly_axis(weeks)
    assert axis.get("tick0") == (str(weeks[0]) if weeks else None)
    assert axis.get("dtick") == {0: None, 1: 7 * 86_400_000, 13: 3 * 7 * 86_400_000}[number]


@pytest.mark.parametrize("values", [buckets(d20=7), buckets(d20=7, d21=None, d22=None)], ids=["no row", "null"])
def test_no_install_and_fewer_than_k_cannot_be_told_apart(values: list[dict[str, Any]]) -> None:
    """A bucket without a row and a row without a value look the same. With k = 1 both are zero."""
    drawn = days(values, 20, 22)
    assert drawn.values == [7, None, None]
    assert drawn.small == [False, True, True]
    assert not any(drawn.silent)
    alone = days(values, 20, 22, k=1)
    assert alone.values == [7, 0, 0]
    assert not any(alone.small)


def test_a_day_without_any_beacon_is_a_gap_and_no_zero() -> None:
    """A day without any beacon is a gap in the line, marked with a gray band."""
    received = Received(date(2026, 11, 10), november(18, 21, 22))
    drawn = days(buckets(d18=7, d21=6, d22=7), 18, 22, received)
    assert drawn.values == [7, None, None, 6, 7]
    assert drawn.silent == [False, True, True, False, False]
    (shade,) = over_time.installs_per_bucket(drawn, "day")["layout"]["shapes"]
    assert (shade["x0"], shade["x1"]) == ("2026-11-18T12:00:00", "2026-11-20T12:00:00")


def test_the_days_that_the_last_beacons_are_ago_are_a_gap() -> None:
    """Days since the last beacon are a gap, except today."""
    drawn = days(buckets(d20=7), 20, 23, Received(date(2026, 11, 1), november(20)))
    assert drawn.values == [7, None, None, None]
    assert drawn.silent == [False, True, True, False]


def test_before_the_first_beacon_the_line_has_not_begun() -> None:
    """Before the first beacon there is neither a zero nor a gap."""
    drawn = days(buckets(d21=7), 19, 21, Received(date(2026, 11, 21), november(21)))
    assert drawn.values == [None, None, 7]
    assert not any(drawn.silent)
    assert not any(drawn.small)


@pytest.mark.parametrize(("grain", "silent"), [("week", [0, 1, 0]), ("month", [0])])
def test_a_bucket_with_some_beacons_is_no_gap(grain: str, silent: Collection[int]) -> None:
    """A week is a gap only if all of its days are."""
    received = Received(date(2026, 11, 1), november(*range(1, 9), *range(18, 23)))
    rows = [] if grain == "month" else buckets(d02=5, d16=5)
    drawn = line(rows, date(2026, 11, 2), date(2026, 11, 22), grain, TODAY, received, k=1)
    assert drawn.silent == [bool(value) for value in silent]
    assert [value is None for value in drawn.values] == drawn.silent


def test_an_hour_without_any_beacon_is_a_gap_and_the_last_hour_not_over() -> None:
    """An hour without any beacon is a gap, and the last hour is incomplete."""
    every = [datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in range(6)]
    drawn = line_of_hours(every[1] + timedelta(minutes=9), {every[1]: 4, every[4]: 2}, every)
    assert drawn.values == [None, 4, None, None, 2, None]
    assert drawn.silent == [False, False, True, True, False, False]
    assert drawn.incomplete == [False] * 5 + [True]
    figure = over_time.beacons_per_hour(drawn)
    assert "4 beacons" in figure["data"][2]["text"][1]
    (shade,) = figure["layout"]["shapes"]
    assert shade["x0"] == "2026-11-23T01:30:00+00:00"


def test_today_is_not_over() -> None:
    """Today's point is marked as incomplete."""
    assert days(buckets(), 21, 23).incomplete == [False, False, True]
    assert days(buckets(), 21, 22).incomplete == [False, False]


@pytest.mark.parametrize(
    ("start", "end", "grain", "names", "incomplete"),
    [
        ((11, 11), (11, 23), "week", ["2026-11-09", "2026-11-16", "2026-11-23"], [1, 0, 1]),
        ((11, 2), (11, 15), "week", ["2026-11-02", "2026-11-09"], [0, 0]),
        ((10, 1), (11, 23), "month", ["2026-10-01", "2026-11-01"], [0, 1]),
        ((9, 15), (10, 31), "month", ["2026-09-01", "2026-10-01"], [1, 0]),
        ((11, 22), (11, 22), "day", ["2026-11-22"], [0]),
    ],
)  # fmt: skip
def test_buckets_that_the_range_cuts_are_incomplete(
    start: tuple[int, int], end: tuple[int, int], grain: str, names: list[str], incomplete: list[int]
) -> None:
    """Weeks begin on Monday. A bucket is named after its first day, even if the range begins later."""
    drawn = line([], date(2026, *start), date(2026, *end), grain, TODAY, ALWAYS, k=5)
    assert [bucket.isoformat() for bucket in drawn.buckets] == names
    assert drawn.incomplete == [bool(part) for part in incomplete]


def test_the_line_is_dotted_only_to_what_is_incomplete() -> None:
    """The line is dotted towards incomplete points and solid elsewhere."""
    figure = over_time.installs_per_bucket(days(buckets(d20=5, d21=6, d22=7, d23=3), 20, 23), "day")
    _, dotted, points, solid = figure["data"]
    assert solid["y"] == [5, 6, 7, None]
    assert dotted["y"] == [None, None, 7, 3]
    assert points["marker"]["symbol"] == ["circle", "circle", "circle", "circle-open"]
    assert "so far" in points["text"][-1]


def test_the_line_of_the_period_of_comparison_is_dotted_likewise() -> None:
    """A week that is only partly in that period is no drop of the grey line."""
    now = line([], date(2026, 11, 10), date(2026, 11, 22), "week", TODAY, ALWAYS, k=5)
    before = line([], date(2026, 10, 28), date(2026, 11, 9), "week", TODAY, ALWAYS, k=5)
    before.values[:] = [40, 50, 6]
    figure = over_time.installs_per_bucket(now, "week", before)
    solid, dotted = figure["data"][1:3]
    assert (solid["y"], solid["line"]["dash"]) == ([None, 50, None], "solid")
    assert (dotted["y"], dotted["line"]["dash"]) == ([40, 50, 6], "dot")
    assert dotted["text"][2].endswith("6 installs of a part")


def test_adoption_is_a_share_of_the_installs_of_its_bucket() -> None:
    """If either value is missing, adoption is a gap and not a division by zero."""
    whole = days(buckets(d19=50, d20=40, d22=None), 19, 22)
    part = days(buckets(d19=10, d20=None), 19, 22)
    assert ratio(part, whole).values == [0.2, None, None, None]
    assert "20% of installs" in over_time.adoption_per_bucket(ratio(part, whole), "day")["data"][2]["text"][0]


@pytest.mark.parametrize("grain", ["day", "week", "month"])
@pytest.mark.parametrize("values", [[], [None], [0], [5, None, 7], [1] * 90])
def test_any_line_can_be_drawn(grain: str, values: list[int | None]) -> None:
    """Lines can be empty, long, a single point, or with gaps."""
    start = date(2026, 8, 1)
    named = line([], start, date(2026, 11, 20), grain, TODAY, ALWAYS, k=5)
    named.values[:] = list(itertools.islice(itertools.cycle(values or [0]), len(named.buckets)))
    figure = over_time.installs_per_bucket(named, grain)
    assert figure["layout"]["yaxis"]["range"][0] == 0
    assert len(figure["data"]) == 4
