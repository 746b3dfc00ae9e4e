"""The share that would be hurt by week, and when it falls under 2% if it goes on so."""

from datetime import date, timedelta
from itertools import dropwhile
from typing import Any

from dash import html

from dashboard import filters, messages
from dashboard.cards import DrawnChart, chart_card, chart_outputs, chart_values
from dashboard.charts.bars import known_rows
from dashboard.charts.registry import CHARTS
from dashboard.charts.series import first
from dashboard.charts.tables import table_by_date
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters, unfiltered
from dashboard.formatting import day, share
from dashboard.permissions import Callbacks, Page
from dashboard.projection import MOST_DAYS, Projection, project
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING
from warehouse.queries.dimensions import dimension_of

CHART = "share_to_drop"
WEEKS, RECENT = 26, 13
THRESHOLD = 0.02


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
        if not any(value for _, value in points):
            return Instead(messages.too_few(data.k))
        return chart_values(drawn(points, calls))


def _by_week(data: DataSource, chosen: Filters, today: date) -> tuple[list[tuple[date, float | None]], list[str]]:
    """The share of the installs by their latest report in each whole week, of those that report the dimensions."""
    last = first(min(chosen.end, today - timedelta(days=1)) + timedelta(days=1), "week")
    begin = last - timedelta(weeks=WEEKS)
    span = {"from": begin.isoformat(), "to": (last - timedelta(days=1)).isoformat()}
    dimension = dimension_of(next(iter(chosen.conditions)))
    hurt = chosen.args(grain="week", count="latest") | span
    asked = unfiltered(chosen).args(by=dimension, grain="week", count="latest") | span
    hit = {row["bucket"]: row["value"] for row in data.ask("installs", hurt)["rows"]}
    of: dict[str, int] = {}
    for row in known_rows(data.ask("installs", asked)["rows"]):
        of[row["bucket"]] = of.get(row["bucket"], 0) + row["value"]
    weeks = [begin + timedelta(weeks=number) for number in range(WEEKS)]
    points = [(week, _share(hit.get(week.isoformat()), of.get(week.isoformat()))) for week in weeks]
    return points, [api_call("installs", hurt), api_call("installs", asked)]


def _share(part: int | None, of: int | None) -> float | None:
    return None if part is None or not of else min(part / of, 1)


def drawn(points: list[tuple[date, float | None]], calls: list[str]) -> DrawnChart:
    """The chart of a share by week, with the date in words."""
    points = list(dropwhile(lambda point: point[1] is None, points))  # there were no data yet
    # Until something later is out, all installs are hurt: that says nothing of how fast they leave.
    falling = list(dropwhile(lambda point: point[1] is None or point[1] >= 1, points))[-RECENT:]
    projection = project(falling)
    under = projection.under(THRESHOLD) if projection else None
    known = [(week, value) for week, value in points if value is not None]
    said = outlook(projection, under, known[-1][1], len(falling))
    falls = projection is not None and projection.per_week < 1
    until = under or (known[-1][0] + timedelta(weeks=WEEKS) if falls else None)
    figure = CHARTS[CHART].figure(points, projection, THRESHOLD, until)
    summary = f"Share by week, from {share(known[0][1])} in the week of {day(known[0][0])} to {share(known[-1][1])}."
    shown = table_by_date({"Share": [value for _, value in points]}, [week for week, _ in points], calls)
    return DrawnChart(figure, f"{summary} {said}", said, shown)


def outlook(projection: Projection | None, under: date | None, last: float, weeks: int) -> str:
    """What the projection through so many weeks says, in a sentence."""
    if last < THRESHOLD:
        return f"The share is under {share(THRESHOLD)} already."
    if projection is None:
        return "There are too few whole weeks to say how it goes on."
    if projection.per_week >= 1:
        return f"The share does not fall: it is not expected under {share(THRESHOLD)}."
    less = f"each week's share is {share(1 - projection.per_week)} smaller than the one before"
    trend = f"If it goes on as in the last {weeks} weeks ({less})"
    if under is None:
        ahead = projection.last + timedelta(days=MOST_DAYS)
        return f"{trend}, the share is still {share(projection.on(ahead))} in two years."
    return f"{trend}, the share is under {share(THRESHOLD)} in {under:%B %Y} (about {day(under)})."
