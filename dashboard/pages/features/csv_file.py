"""The features table as a CSV file: all rows, in the order of the grid. The grid itself holds only some of them."""

import csv
from dataclasses import asdict
from io import StringIO
from typing import Any

from dash import Input, Output, State, dcc, html

from dashboard.charts.tables import ShownTable
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import no_formula
from dashboard.grids import csv_name
from dashboard.largest import MOST_ROWS
from dashboard.pages.features import rows
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill, message

COLUMNS = (
    "Module", "Feature", "Title", "Share", "Change", "Installs", "Uses", "Uses per install", "First seen", "Hint",
)  # fmt: skip
_FIELDS = ("module", "feature", "title", "adoption", "change", "installs", "uses", "per_install", "first_seen", "hint")


def layout() -> list[html.Div | dcc.Download]:
    """The component that hands the file to the browser, and the region's message."""
    return [dcc.Download(id="features-download"), message("features-download"), message("features-table")]


def register(page: Page, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the button, and of the table of the largest features behind the grid."""

    @fill(callbacks, page, "features-table", [Output("features-shown", "data")], Input("url", "search"), content=False)
    def largest(search: str) -> tuple[dict[str, Any]]:
        chosen = data.chosen(search)
        return (asdict(shown(rows.read(data, chosen, search), chosen)),)

    @fill(
        callbacks,
        page,
        "features-download",
        [Output("features-download", "data")],
        Input("features-csv", "n_clicks"),
        State("features-grid", "getRowsRequest"),
        State("url", "search"),
        content=False,
        prevent_initial_call=True,
    )
    def download(_clicks: int, request: dict[str, Any] | None, search: str) -> tuple[dict[str, str]]:
        chosen = data.chosen(search)
        found = rows.read(data, chosen, search)
        ordered = rows.ordered(found.features, (request or {}).get("sortModel", []))
        name = csv_name("features", chosen, chosen.module)
        return ({"content": text([*ordered, *found.folded]), "filename": name, "type": "text/csv;charset=utf-8"},)


def text(shown: list[rows.Row]) -> str:
    """The file, with the byte order mark by which spreadsheets know UTF-8. Numbers are numbers, hidden ones empty."""
    file = StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    for row in shown:
        writer.writerow([_cell(row[field]) for field in _FIELDS])
    return "\ufeff" + file.getvalue()


def shown(found: rows.FeatureRows, chosen: Filters) -> ShownTable:
    """The largest features as a table, with the calls of the read API that answer with these figures."""
    args = chosen.args(by="module,feature", grain="period")
    calls = [
        api_call("feature_installs", args),
        api_call("feature_uses", args),
        api_call("installs", chosen.base(by="module", grain="period")),
    ]
    largest = [*found.features[:MOST_ROWS], *found.folded]
    cells = [[None if row[field] == rows.FEW else row[field] for field in _FIELDS] for row in largest]
    hidden = {column: rows.FEW for column in COLUMNS if column != "Change"}  # which has a dash in the grid, too
    return ShownTable(COLUMNS, cells, calls, {"Change": "points", "Uses per install": "number"}, hidden)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if value == rows.FEW:
        return ""
    return no_formula(value) if isinstance(value, str) else value
