"""The share that would be hurt by week, and in which months it falls under 2% if it goes on so."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import dropwhile
from typing import Any

from dash import html

from dashboard import filters, messages
from dashboard.cards import DrawnChart, chart_card, chart_outputs, chart_values
from dashboard.charts.registry import CHARTS
from dashboard.charts.tables import table_by_date
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import day, share, shares
from dashboard.pages.drop import reporting
from dashboard.permissions import Callbacks, Page
from dashboard.projection import Projection, project
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING
from dashboard.weekly import after_whole_weeks

CHART = "share_to_drop"
WEEKS, RECENT = 26, 13
THRESHOLD = 0.02
BETWEEN = "In some weeks it is told only between which shares it is, because of the installs in (other): no forecast."

# A week, and the two shares between which the share is; None is not told.
Point = tuple[date, tuple[float, float] | None]


def layout() -> html.Section:
    """The card of the trend."""
    return chart_card(CHART, None, 280)


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the trend."""

    @fill(callbacks, page, CHART, chart_outputs(CHART), search)
    def trend(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        if not chosen.conditions:
            return NOTHING
        points, calls = _by_week(data, chosen, filters.today())
        if not any(bounds and bounds[1] for _, bounds in points):
            return Instead(messages.too_few(data.k))
        chart = drawn(points, calls)
        return chart_values(replace(chart, note=f"{chart.note} {_of(chosen)}"))


def _by_week(data: DataSource, chosen: Filters, today: date) -> tuple[list[Point], list[str]]:
    """The share of the installs by their latest report in each whole week, of those that `reporting` counts."""
    last = after_whole_weeks(chosen, today)
    begin = last - timedelta(weeks=WEEKS)
    span = {"from": begin.isoformat(), "to": (last - timedelta(days=1)).isoformat()}
    hurt = chosen.args(grain="week", count="latest") | span
    asked = reporting.args_of(chosen, grain="week") | span
    hit = {row["bucket"]: row["value"] for row in data.ask("installs", hurt)["rows"]}
    reported = reporting.by_bucket(data, chosen, asked)
    points: list[Point] = []
    for week in (begin + timedelta(weeks=number) for number in range(WEEKS)):
        bucket = week.isoformat()
        points.append((week, reported.get(bucket, reporting.NONE).shares(hit.get(bucket))))
    return points, [api_call("installs", hurt), api_call("installs", asked)]


def _of(chosen: Filters) -> str:
    who = f"installs of {chosen.module}" if chosen.module else "installs"
    whole = f"{who} that report it" if reporting.all_asked(chosen) else f"active {who}"
    return f"Shares are of the {whole}, by the latest report of each in a whole week."


def drawn(points: list[Point], calls: list[str]) -> DrawnChart:
    """The chart of a share by week, with the months in words."""
    points = list(dropwhile(lambda point: point[1] is None, points))  # there were no data yet
    known = [(week, bounds) for week, bounds in points if bounds]
    told = [(week, bounds[0] if bounds and bounds[0] == bounds[1] else None) for week, bounds in points]
    # Until something later is out, all installs are hurt: that says nothing of how fast they leave.
    falling = list(dropwhile(lambda point: point[1] is None or point[1] >= 1, told))[-RECENT:]
    projection = project(falling)
    between = any(least != most for _, (least, most) in known)
    (first, began), (last, ended) = known[0], known[-1]
    said = BETWEEN if between and not projection else outlook(projection, ended[1], len(falling))
    ahead = projection.likeliest if projection and projection.falls else None
    until = ahead and (ahead.under(THRESHOLD) or last + timedelta(weeks=WEEKS))
    figure = CHARTS[CHART].figure(points, ahead, THRESHOLD, until)
    summary = f"Share by week, from {shares(*began)} in the week of {day(first)} to {shares(*ended)}."
    columns = ("Share, at least", "Share, at most") if between else ("Share",)
    values = {name: [bounds and bounds[number] for _, bounds in points] for number, name in enumerate(columns)}
    shown = table_by_date(values, [week for week, _ in points], calls)
    return DrawnChart(figure, f"{summary} {said}", said, shown)


def outlook(projection: Projection | None, last: float, weeks: int) -> str:
    """What the projection through so many weeks says, in a sentence or two."""
    if last < THRESHOLD:
        return f"The share is under {share(THRESHOLD)} already."
    if projection is None:
        return "There are too few whole weeks to say how it goes on."
    if projection.rises:
        return f"The share rises: it is not expected under {share(THRESHOLD)}."
    if not projection.falls:
        return (
            f"No clear trend: in the last {weeks} weeks the share neither fell nor rose by more than chance explains."
        )
    course = projection.likeliest
    first = share(course.on(course.last - timedelta(weeks=weeks - 1)))
    fell = f"In the last {weeks} weeks the share fell from about {first} to {share(course.share)}."
    return f"{fell} If it goes on so, it is under {share(THRESHOLD)} {_when(projection)}."


def _when(projection: Projection) -> str:
    """The months in which the share falls under the threshold, as the 95% interval of the trend has them."""
    earliest, latest = (course.under(THRESHOLD) for course in (projection.lowest, projection.highest))
    if earliest is None:
        return "in more than two years"
    if latest is None:
        return f"in {earliest:%B %Y} at the earliest, and perhaps not within two years (95% interval)"
    if (earliest.year, earliest.month) == (latest.year, latest.month):
        return f"in {latest:%B %Y}"
    year = "" if earliest.year == latest.year else f" {earliest.year}"
    return f"between {earliest:%B}{year} and {latest:%B %Y} (95% interval)"
