"""The cards of installs by one dimension, one for each such chart of the registry."""

from typing import Any

from dash import Input, Output

from dashboard import messages
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.bars import MOST_BARS, known_rows, shown_rows
from dashboard.charts.registry import CHARTS
from dashboard.charts.style import BLANK
from dashboard.charts.tables import table_of_bars
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import count, coverage, share
from dashboard.permissions import Callbacks, Page
from dashboard.regions import HIDDEN, SHOWN, Instead, fill

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
    all_modules = name == "installs_by_version" and not chosen.module
    # Versions of different modules do not replace one another.
    count_as = {"count": "reported"} if all_modules else {}
    args = chosen.args(**{**chart.args, **count_as})
    answer = data.largest(chart.metric, args)
    shown = shown_rows(answer["rows"])
    if not total or not shown:
        return None
    words = ", ".join(f"{row['key']} {count(row['value'])} ({share(row['value'] / total)})" for row in shown)
    rows = len(answer["rows"]) + answer["more"]
    notes = [f"The {MOST_BARS} largest of {count(rows)}."] if rows > len(shown) else []
    if all_modules:
        notes.append("All modules; choose one to see its versions.")
    elif not data.estimates(chosen.args()):
        notes.append(coverage(sum(row["value"] for row in known_rows(answer["rows"])), total))
    calls = api_call(chart.metric, {**args, "limit": str(MOST_BARS)}), api_call("installs", chosen.args(grain="period"))
    return DrawnChart(
        chart.figure(answer["rows"], total, chart.args["by"]),
        f"{chart.title}: {words}.",
        " ".join(notes),
        table_of_bars(chart.title, answer["rows"], total, calls),
    )
