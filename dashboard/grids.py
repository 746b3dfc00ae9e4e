"""What the grids have in common, and their CSV files: what is shown, in the order in which it is shown."""

from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, html

from dashboard.cards import loading
from dashboard.filters import Filters
from dashboard.icons import icon

GRID: dict[str, Any] = {
    "animateRows": False,
    "suppressCellFocus": False,
    "enableCellTextSelection": True,
    "tooltipShowDelay": 300,
    "rowHeight": 44,
    "headerHeight": 42,
    "suppressColumnVirtualisation": True,
}


def grid_card(
    page: str, title: str, columns: list[dict[str, Any]], *, around: int, tools: Any = None, refreshed: bool = False
) -> html.Section:
    """A card with `<page>-title`, the paged `<page>-grid` in `<page>-rows`, `<page>-empty` and `<page>-note`.

    `around` are the pixels of a window's height that are not the grid's. `refreshed`: its rows, each with an `id`, come
    anew every few seconds, and are not dimmed while they do.
    """
    grid = dag.AgGrid(
        id=f"{page}-grid", columnDefs=columns, rowData=[], className="grid",
        defaultColDef={"resizable": True, "sortable": True},
        dashGridOptions={**GRID, "pagination": True, "paginationPageSize": 50,
                         "paginationPageSizeSelector": [25, 50, 200]},
        style={"height": f"max(380px, calc(100vh - {around}px))"},
        **({"getRowId": "params.data.id"} if refreshed else {}),
    )  # fmt: skip
    return html.Section(
        [
            html.Div([html.H2(title, id=f"{page}-title"), tools], className="card-head"),
            html.Div(id=f"{page}-empty"),
            html.Div(grid if refreshed else loading(grid, 380), id=f"{page}-rows"),
            html.P(id=f"{page}-note", className="card-note"),
        ],
        className="card",
        **{"aria-labelledby": f"{page}-title"},
    )


def download(page: str) -> dmc.Button:
    """The button that downloads `<page>-grid` as CSV."""
    return dmc.Button(
        "CSV", id=f"{page}-csv", leftSection=icon("download"), variant="default", size="xs",
        **{"aria-label": "Download the table as CSV"},
    )  # fmt: skip


def register_download(dash_app: Dash, page: str) -> None:
    """Let the button do so, in the browser: the grid alone knows its filter and order."""
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "pressed"),
        Output(f"{page}-grid", "exportDataAsCsv"),
        Input(f"{page}-csv", "n_clicks"),
        prevent_initial_call=True,
    )


def csv_name(page: str, chosen: Filters | None, module: str) -> dict[str, Any]:
    """The grid's export parameters: a file name that says what is inside."""
    span = f"{chosen.start}_{chosen.end}" if chosen else ""
    parts = ["pharos", page, "".join(char for char in module if char.isalnum() or char in "_-"), span]
    return {"fileName": "-".join(part for part in parts if part) + ".csv", "allColumns": True}
