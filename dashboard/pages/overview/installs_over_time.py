"""The card of the active installs over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import Input

from dashboard import filters, gaps
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.registry import CHARTS
from dashboard.charts.release_marks import in_words
from dashboard.charts.series import Line, line
from dashboard.charts.tables import table_of_line
from dashboard.data_source import DataSource, api_call
from dashboard.filters import COMPARISONS, Filters
from dashboard.formatting import count, days, fewer
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill

CHART = "installs_per_bucket"


def register(page: Page, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the card."""

    @fill(callbacks, page, CHART, chart_outputs(CHART), Input("url", "search"))
    def installs_per_bucket(search: str) -> tuple[Any, ...]:
        return chart_values(drawn(data, data.chosen(search)))


def drawn(data: DataSource, chosen: Filters) -> DrawnChart:
    """The chart. Raises `QueryError` and `EngineError`."""
    over_time = _line(data, chosen)
    before = _before(data, chosen, len(over_time.buckets))
    notes = [gaps.in_days(gaps.silent_days(data.received(chosen), chosen.start, chosen.end, filters.today()))]
    if any(over_time.incomplete) or (before and any(before.line.incomplete)):
        notes.append(f"Hollow points and dotted lines: the {chosen.grain} is not over, or only partly in the range.")
    if any(over_time.small):
        notes.append(f"A break without a grey band: no installs, or {fewer(data.k)}.")
    calls = [api_call("installs", chosen.args(grain=chosen.grain))]
    others: list[tuple[str, Sequence[str | float | None]]] = []
    if before:
        title = COMPARISONS[chosen.compare]
        notes.append(f"Grey line: {title.lower()}.")
        calls.append(api_call("installs", before.chosen.args(grain=chosen.grain)))
        others = [(f"{title}, date", before.dates), (title, before.line.values)]
    releases = data.releases(chosen)
    notes.append(in_words(releases))
    known = [int(value) for value in over_time.values if value is not None]
    said = f"from {count(min(known))} to {count(max(known))}, last {count(known[-1])}" if known[1:] else ""
    said = said or (count(known[0]) if known else "too few to show")
    summary = f"Active installs per {chosen.grain}, {days(chosen.start, chosen.end)}: {said}."
    return DrawnChart(
        CHARTS[CHART].figure(over_time, chosen.grain, before.line if before else None, releases),
        summary,
        " ".join(filter(None, notes)),
        table_of_line("Active installs", over_time, calls, *others),
    )


@dataclass(frozen=True)
class _Before:
    """The period of comparison: a point for each of the first buckets of the period itself."""

    chosen: Filters
    line: Line

    @property
    def dates(self) -> list[str]:
        return [bucket.isoformat() for bucket in self.line.buckets]


def _before(data: DataSource, chosen: Filters, buckets: int) -> _Before | None:
    """The period of comparison, if its buckets can be laid over those of the period, and any of them has a figure."""
    compared = data.compared(chosen)
    if compared is None:
        return None
    complete, before = compared
    drawn = _line(data, before)
    if len(_line(data, complete).buckets) != len(drawn.buckets) or len(drawn.buckets) > buckets:
        return None
    return _Before(before, drawn) if any(value is not None for value in drawn.values) else None


def _line(data: DataSource, chosen: Filters) -> Line:
    rows = data.ask("installs", chosen.args(grain=chosen.grain))["rows"]
    return line(rows, chosen.start, chosen.end, chosen.grain, filters.today(), data.received(chosen), k=data.k)
