"""The features table as a CSV file: all rows, in the order of the grid. The grid itself holds only some of them."""

import csv
from io import StringIO
from typing import Any

from dash import Input, Output, State, dcc, html

from dashboard.data_source import DataSource
from dashboard.formatting import share
from dashboard.grids import csv_name
from dashboard.pages.features import rows
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill, message

COLUMNS = ("Feature", "Title", "Adoption", "Installs", "Uses", "Hint")


def layout() -> list[html.Div | dcc.Download]:
    """The component that hands the file to the browser, and the region's message."""
    return [dcc.Download(id="features-download"), message("features-download")]


def register(page: Page, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the button."""

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
        found = rows.read(data, chosen)
        ordered = rows.ordered(found.features, (request or {}).get("sortModel", []))
        name = csv_name("features", chosen, chosen.module)
        return ({"content": text([*ordered, *found.folded]), "filename": name, "type": "text/csv;charset=utf-8"},)


def text(shown: list[rows.Row]) -> str:
    """The file, with the byte order mark by which spreadsheets know UTF-8."""
    file = StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in shown:
        adoption = row["adoption"] if row["adoption"] == rows.FEW else share(row["adoption"])
        writer.writerow([row["feature"], row["title"], adoption, row["installs"], row["uses"], row["hint"]])
    return "\ufeff" + file.getvalue()
