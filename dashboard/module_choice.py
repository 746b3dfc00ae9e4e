"""The list of modules that a page about one module offers."""

from typing import Any

from dash import html

from dashboard import filters
from dashboard.answer_rows import known_rows
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from dashboard.empty_ranges import why_empty
from dashboard.formatting import plural
from dashboard.links import link
from dashboard.tables import anchor
from warehouse.queries.small_groups import OTHER

MOST = 40


def ask_for_module(data: DataSource, search: str, path: str) -> Any:
    """Links to a page for each module, the largest first. Raises `QueryError` and `EngineError`."""
    chosen = data.chosen(search)
    rows = known_rows(data.ask("installs", chosen.args(by="module", grain="period"))["rows"])
    found = [(str(row["key"]), int(row["value"])) for row in rows if row["key"] and row["key"] != OTHER]
    if not found:
        return why_empty(data, chosen)
    catalog, today = data.catalog(), filters.today()
    links = [
        anchor(
            f"{display_name(catalog, 'module', name, today).label} · {plural(installs, 'install')}",
            link(path, search, {"module": name}),
            refine=True,
            className="offer",
        )
        for name, installs in found[:MOST]
    ]
    return html.Section(
        [html.H2("Choose a module"), html.P("This page is about one module."), html.Div(links, className="offers")],
        className="card",
    )
