"""The cards of installs by one dimension, one for each such chart of the registry."""

from typing import Any

from dash import Input, Output

from dashboard import messages
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.bars import MOST_BARS, Row, known_rows, largest_rows
from dashboard.charts.registry import CHARTS
from dashboard.charts.style import BLANK
from dashboard.charts.tables import table_of_bars
from dashboard.data_source import EVERY_DIMENSION, DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import count, coverage, share
from dashboard.permissions import Callbacks, Page
from dashboard.regions import HIDDEN, SHOWN, Instead, fill
from warehouse.queries.small_groups import OTHER

NAMES = [name for name in CHARTS if name.startswith("installs_by_")]


def register(page: Page, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the cards."""
    for name in NAMES:
        _register(page, callbacks, data, name)


def _register(page: Page, callbacks: Callbacks, data: DataSource, name: str) -> None:
    outputs = [*chart_outputs(name), Output(f"{name}-card", "style")]

    @fill(callbacks, page, name, outputs, Input("url", "search"))
    def installs_by(search: str) -> Instead | tuple[Any, ...]:
        found = drawn(data, name, data.chosen(search))
        if found is not None:
            return *chart_values(found), SHOWN
        if CHARTS[name].optional:
            return *chart_values(DrawnChart(BLANK, "")), HIDDEN
        return Instead(messages.too_few(data.k))


def drawn(data: DataSource, name: str, chosen: Filters) -> DrawnChart | None:
    """The chart, or None when there is nothing to show. Raises `QueryError` and `EngineError`."""
    chart = CHARTS[name]
    total = data.total(chosen.args())
    # An install has a version of each of its modules.
    several = name == "installs_by_version" and not chosen.module
    args = chosen.args(**chart.args | ({"by": "module,version"} if several else {}))
    rows = [_named(row) for row in data.ask(chart.metric, args, side_by_side=EVERY_DIMENSION)["rows"]]
    shown = largest_rows(rows, MOST_BARS, apart=not several)
    if not total or not shown:
        return None
    answered = sum(row["value"] for row in shown)
    of = total if several else answered
    words = ", ".join(f"{row['key']} {count(row['value'])} ({share(row['value'] / of)})" for row in shown)
    named = sum(row["key"] != OTHER for row in known_rows(rows))
    notes = [] if several else [coverage(min(answered, total), total)]
    if several:
        notes.append("Shares are of all active installs; choose a module for those of its own.")
    if named > MOST_BARS:
        others = "are not shown" if several else f"are in {OTHER}"
        notes.append(f"The {MOST_BARS} largest of {count(named)}; the others {others}.")
    calls = [api_call(chart.metric, args), *([api_call("installs", chosen.args(grain="period"))] if several else [])]
    return DrawnChart(
        chart.figure(shown, of, *args["by"].split(",")),
        f"{chart.title}: {words}.",
        " ".join(notes),
        table_of_bars(chart.title, shown, of, calls),
    )


def _named(row: Row) -> Row:
    """A row of several dimensions with its keys as one name."""
    keys = row.get("keys")
    return {**row, "key": OTHER if OTHER in keys else " ".join(keys)} if keys else row
