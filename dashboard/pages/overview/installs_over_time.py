"""The card of the active installs over time."""

from typing import Any

from dash import Input

from dashboard import filters, gaps
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.registry import CHARTS
from dashboard.charts.series import line
from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.formatting import count, days, fewer
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill

CHART = "installs_per_bucket"


def register(page: Page, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the card."""

    @fill(callbacks, page, CHART, chart_outputs(CHART), Input("url", "search"))
    def installs_per_bucket(search: str) -> tuple[Any, ...]:
        return chart_values(_drawn(data, filters.read(search, filters.today())))


def _drawn(data: DataSource, chosen: Filters) -> DrawnChart:
    rows = data.ask("installs", chosen.args(grain=chosen.grain))["rows"]
    span = chosen.start, chosen.end
    received = data.received(chosen)
    over_time = line(rows, *span, chosen.grain, filters.today(), received, k=data.k)
    notes = [gaps.in_days(gaps.silent_days(received, *span, filters.today()))]
    if any(over_time.incomplete):
        notes.append(f"Hollow points and dotted lines: the {chosen.grain} is not over, or only partly in the range.")
    if any(over_time.small):
        notes.append(f"A break without a grey band: no installs, or {fewer(data.k)}.")
    known = [int(value) for value in over_time.values if value is not None]
    summary = f"Active installs per {chosen.grain}, {days(*span)}: " + (
        f"from {count(min(known))} to {count(max(known))}, last {count(known[-1])}." if known else "too few to show."
    )
    return DrawnChart(CHARTS[CHART].figure(over_time, chosen.grain), summary, " ".join(filter(None, notes)))
