"""The installs by week, by the license status and by the license source that they report."""

from typing import Any

from dashboard import filters, messages
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.registry import CHARTS
from dashboard.charts.stacked import largest_series
from dashboard.charts.tables import table_by_date
from dashboard.conditions import of_any_module
from dashboard.data_source import DataSource
from dashboard.formatting import count
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.weekly import covered, installs_by_week
from warehouse.queries.small_groups import OTHER

CHARTS_OF = {"counts_by_week_of_status": "license_status", "counts_by_week_of_source": "license_source"}


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callbacks of the two charts."""
    for chart, dimension in CHARTS_OF.items():
        _register(page, callbacks, data, search, chart, dimension)


def _register(page: Page, callbacks: Callbacks, data: DataSource, search: Any, chart: str, dimension: str) -> None:
    @fill(callbacks, page, chart, chart_outputs(chart), search)
    def by_week(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        found = installs_by_week(data, chosen, dimension, filters.today())
        if not found.weeks:
            return Instead(messages.too_few(data.k))
        series = largest_series(found.installs, found.weeks, found.unknown)
        words = ", ".join(f"{name} {count(values[-1] or 0)}" for name, values in series.items() if values[-1])
        figure = CHARTS[chart].figure(found.weeks, series, "installs")
        summary = f"Installs in the last whole week: {words or 'not told'}."
        notes = [covered(chosen.conditions), of_any_module(chosen.module, dimension), found.gaps(data.k)]
        told = [number for number, week in enumerate(found.weeks) if week not in found.unknown]
        if any(values[number] is None for values in series.values() for number in told):
            notes.append(f"A value without a number in a week is in {OTHER}, or no install reports it.")
        if data.rounded:
            notes.append(f"Numbers are rounded down to multiples of {data.k}.")
        note = " ".join(filter(None, notes))
        return chart_values(DrawnChart(figure, summary, note, table_by_date(series, found.weeks, [found.call])))
