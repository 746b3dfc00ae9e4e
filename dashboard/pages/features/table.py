"""The table of features. The grid loads its rows in blocks as it scrolls: a fleet may have thousands of features."""

from typing import Any

import dash_ag_grid as dag
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard.cards import shown_table
from dashboard.data_source import DataSource
from dashboard.grids import GRID, download
from dashboard.largest import MOST_ROWS
from dashboard.pages.features import csv_file, rows
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill, loading, message, region

NARROW = ["narrow(params)"]
MOST_VISIBLE = 16  # rows; more of them scroll
COLUMNS = [
    {"field": "module", "headerName": "Module", "minWidth": 142, "flex": 2, "sort": "asc", "sortIndex": 0,
     "tooltipField": "module_about"},
    {"field": "feature", "headerName": "Feature", "minWidth": 190, "flex": 4, "cellClass": "strong",
     "cellRenderer": "Named", "tooltipField": "about"},
    {
        "field": "adoption", "headerName": "Share", "minWidth": 118, "flex": 2, "sort": "desc", "sortIndex": 1,
        "cellRenderer": "Share", "sortingOrder": ["desc", "asc"],
        "headerTooltip": "Installs that used the feature, as a share of the active installs of its module; with "
                         "filters, of those that matched them on some day",
    },
    {"field": "change", "headerName": "Change", "minWidth": 74, "flex": 1, "cellRenderer": "Points",
     "type": "rightAligned", "headerTooltip": "Difference of the share from the period of comparison, in points; grey: "
                                              "chance may explain it"},
    {"colId": "trend", "headerName": "12 weeks", "minWidth": 104, "flex": 1, "cellRenderer": "Trend", "sortable": False,
     "valueGetter": {"function": "featureHistory(params).trend"},
     "headerTooltip": "The share by week, in the last 12 weeks that are over"},
    {"field": "installs", "headerName": "Installs", "minWidth": 80, "flex": 1, "type": "rightAligned",
     "cellRenderer": "Count"},
    {"field": "uses", "headerName": "Uses", "minWidth": 98, "flex": 1, "type": "rightAligned",
     "cellRenderer": "Count"},
    {"field": "per_install", "headerName": "Each", "minWidth": 70, "flex": 1, "type": "rightAligned",
     "cellRenderer": "Decimal", "headerTooltip": "Uses per install that used it"},
    {"colId": "first_seen", "headerName": "Since", "minWidth": 88, "flex": 1,
     "valueGetter": {"function": "featureHistory(params).first_seen"},
     "valueFormatter": {"function": "monthName(params)"},
     "headerTooltip": "The first month of the last twelve in which enough installs used it"},
    {"field": "hint", "headerName": "Hint", "minWidth": 134, "flex": 1, "cellRenderer": "Hint", "sortable": False},
]  # fmt: skip


def layout() -> html.Section:
    """The card of the table, without rows."""
    grid = dag.AgGrid(
        id="features-grid", columnDefs=COLUMNS, rowModelType="infinite", getRowId="params.data.id",
        dashGridOptions=options([]), defaultColDef={"resizable": True, "sortable": True},
        className="grid", style=style(4, 0),
        eventListeners={"firstDataRendered": NARROW, "gridSizeChanged": NARROW},
    )  # fmt: skip
    return html.Section(
        [
            html.Div([html.H2("Features by module", id="features-title"), download("features")], className="card-head"),
            *csv_file.layout(),
            dcc.Store(id="features-reload"),
            dcc.Store(id="features-history"),
            message("features-history"),
            *region("features-rows", loading(grid, 240)),
            html.P(id="features-note", className="card-note"),
            *shown_table("features", "Features by module", files=False),
        ],
        className="card",
        **{"aria-labelledby": "features-title"},
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
        asked = request or {}
        order = asked.get("sortModel", [])
        by_history = any(column["colId"] == "first_seen" for column in order)
        found = rows.read(data, data.chosen(search), search, history=by_history).features
        start = int(asked.get("startRow", 0))
        ordered = rows.ordered(found, order)
        return ({"rowData": ordered[start : start + MOST_ROWS], "rowCount": len(found)},)

    # The trends and first months of all rows, which the grid has from the start or not, ask as much as all else.
    @fill(
        callbacks,
        page,
        "features-history",
        [Output("features-history", "data")],
        Input("url", "search"),
        content=False,
    )
    def history(search: str) -> tuple[dict[str, Any]]:
        return ({"search": search, "rows": rows.histories(data, data.chosen(search))},)

    dash_app.clientside_callback(
        ClientsideFunction("pharos", "showHistory"),
        Output("features-reload", "data"),
        Input("features-history", "data"),
        State("features-grid", "id"),
        prevent_initial_call=True,
    )

    # New filters make the rows that the grid holds obsolete: it asks for all of them again.
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "reloadRows"),
        Output("features-reload", "data", allow_duplicate=True),
        Input("url", "search"),
        State("features-grid", "id"),
        prevent_initial_call=True,
    )


def options(folded: list[rows.Row]) -> dict[str, Any]:
    """The grid's options; the row of `(other)` stays at the bottom in every order."""
    return {
        **GRID,
        "pinnedBottomRowData": folded,
        "cacheBlockSize": MOST_ROWS,
        "maxConcurrentDatasourceRequests": 1,
    }


def style(features: int, folded: int) -> dict[str, Any]:
    """A height for so many rows, up to `MOST_VISIBLE`."""
    visible = max(1, min(features, MOST_VISIBLE)) + folded
    return {"height": GRID["headerHeight"] + GRID["rowHeight"] * visible + 4}
