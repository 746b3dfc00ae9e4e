"""The charts of a report: those of the page, as SVG."""

import re
from datetime import date, timedelta

import pytest

from dashboard.charts.palette import PALETTE
from dashboard.charts.registry import CHARTS
from dashboard.charts.style import BLANK, GREY
from dashboard.report_charts import chart_picture

WEEKS = [date(2026, 11, 2) + timedelta(weeks=number) for number in range(3)]


def heights(picture: str) -> list[float]:
    return [float(height) for height in re.findall(r'<rect .*?height="([\d.]+)"', picture)]


def test_versions_by_week_are_stacked_bars_in_the_colors_of_the_page() -> None:
    """A week without figures is a gap. The stacks are as high as the axis, and each series is in the legend."""
    shares = {"3.2": [0.75, None, 0.25], "(other)": [0.25, None, 0.75]}
    picture = chart_picture(CHARTS["share_by_version"].figure(WEEKS, shares))
    assert heights(picture) == pytest.approx([114, 38, 38, 114], abs=0.2)
    assert picture.count(f"fill: {PALETTE[0]}") == picture.count(f"fill: {GREY}") == 2
    for text in ("100%", "2026-11-02", "2026-11-16", "3.2", "(other)"):
        assert f">{text}<" in picture
    assert 'aria-label="Bars by week"' in picture


def test_counts_by_week_have_the_scale_of_the_highest_week() -> None:
    """It is above the picture as a number."""
    picture = chart_picture(
        CHARTS["counts_by_week_of_status"].figure(WEEKS, {"licensed": [5, 9, None], "trial": [1, 1, None]}, "installs")
    )
    assert ">10<" in picture
    assert heights(picture) == pytest.approx([76, 136.8, 15.2, 15.2], abs=0.2)


def test_lines_by_day_have_a_band_behind_them_and_end_where_they_end() -> None:
    """Of releases, by days since they came out."""
    watch = chart_picture(CHARTS["release_watch"].figure("4.0.0", [0.1, 0.2], [(0.1, 0.3), (0.2, 0.4)]))
    assert watch.index("<polygon") < watch.index("<polyline")
    assert ">day 1<" in watch
    adoption = chart_picture(CHARTS["adoption_since_release"].figure({"4.0.0": [0.5], "<3.0>": [0.1, None, 0.3, 0.4]}))
    assert adoption.count("<circle") == 2
    assert adoption.count("<polyline") == 1
    assert "&lt;3.0&gt;" in adoption


def test_a_share_that_is_told_between_two_has_a_band_where_both_are_known() -> None:
    """The threshold is dashed. A week of which nothing is told is not bridged."""
    weeks = [WEEKS[0] + timedelta(weeks=number) for number in range(5)]
    bounds = [(0.1, 0.2), (0.1, 0.2), None, (0.1, 0.1), (0.1, 0.3)]
    picture = chart_picture(CHARTS["share_to_drop"].figure(list(zip(weeks, bounds, strict=True)), None, 0.02, None))
    assert picture.count("<polygon") == 2
    assert picture.count("stroke-dasharray") == 1


def test_there_is_no_picture_without_points() -> None:
    """Nor of a card that has no chart."""
    empty = CHARTS["share_by_version"].figure([], {})
    assert [chart_picture(figure) for figure in (None, BLANK, empty)] == ["", "", ""]
