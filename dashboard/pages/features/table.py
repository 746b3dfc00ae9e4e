"""The table of features. The grid loads its rows in blocks as it scrolls: a fleet may have thousands of features."""

from typing import Any

import dash_ag_grid as dag
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard.data_source import DataSource
from dashboard.grids import GRID, download
from dashboard.largest import MOST_ROWS
from dashboard.pages.features import csv_file, rows
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill, loading, region

MOST_VISIBLE = 16  # rows; more of them scroll
COLUMNS = [
    {"field": "feature", "headerName": "Feature", "minWidth": 195, "flex": 4, "cellClass": "strong",
     "cellRenderer": "Named", "tooltipField": "about"},
    {
        "field": "adoption", "headerName": "Adoption", "minWidth": 132, "flex": 3, "sort": "desc",
        "cellRenderer": "Share", "sortingOrder": ["desc", "asc"],
        "headerTooltip": "Installs that used the feature, as a share of the active installs",
    },
    {"field": "installs", "headerName": "Installs", "minWidth": 92, "flex": 1, "type": "rightAligned",
     "cellRenderer": "Count"},
    {"field": "uses", "headerName": "Uses", "minWidth": 108, "flex": 1, "type": "rightAligned",
     "cellRenderer": "Count"},
    {"field": "hint", "headerName": "Hint", "minWidth": 122, "width": 122, "cellRenderer": "Hint", "sortable": False},
]  # fmt: skip


def layout() -> html.Section:
    """The card of the table, without rows."""
    grid = dag.AgGrid(
        id="features-grid", columnDefs=COLUMNS, rowModelType="infinite", getRowId="params.data.feature",
        dashGridOptions=options([]), defaultColDef={"resizable": True, "sortable": True},
        className="grid", style=style(4, 0),
    )  # fmt: skip
    return html.Section(
        [
            html.Div([html.H2("Adoption", id="adoption-title"), download("features")], className="card-head"),
            *csv_file.layout(),
            dcc.Store(id="features-reload"),
            *region("features-rows", loading(grid, 240)),
            html.P(id="features-note", className="card-note"),
        ],
        className="card",
        **{"aria-labelledby": "adoption-title"},
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the table."""

    @fill(
        callbacks,
        page,
        "features-rows",
        [Output("features-grid", "getRowsResponse")],
        Input("features-grid", "getRowsRequest"),
        State("url", "search"),
    )
    def load(request: dict[str, Any] | None, search: str) -> tuple[dict[str, Any]]:
        found = rows.read(data, data.chosen(search)).features
        asked = request or {}
        start = int(asked.get("startRow", 0))
        ordered = rows.ordered(found, asked.get("sortModel", []))
        return ({"rowData": ordered[start : start + MOST_ROWS], "rowCount": len(found)},)

    # New filters make the rows that the grid holds obsolete: it asks for all of them again.
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "reloadRows"),
        Output("features-reload", "data"),
        Input("url", "search"),
        State("features-grid", "id"),
        prevent_initial_call=True,
    )


def options(folded: list[rows.Row]) -> dict[str, Any]:
    """The grid's options; the row of `(other)` stays at the bottom in every order."""
    return {
        **GRID,
        "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
        "pinnedBottomRowData": folded,
        "cacheBlockSize": MOST_ROWS,
        "maxConcurrentDatasourceRequests": 1,
    }


def style(features: int, folded: int) -> dict[str, Any]:
    """A height for so many rows, up to `MOST_VISIBLE`."""
    visible = max(1, min(features, MOST_VISIBLE)) + folded
    return {"height": GRID["headerHeight"] + GRID["rowHeight"] * visible + 4}
