"""What the grids have in common, and the names of their CSV files."""

from typing import Any

import dash_ag_grid as dag
from dash import html

from dashboard import mantine as dmc
from dashboard.filters import Filters
from dashboard.icons import icon
from dashboard.regions import loading, region

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
    """A card, `<page>-table`, with the paged `<page>-grid` and `<page>-note`. Its region is `<page>-rows`.

    `around` is the height in pixels of everything else in the window. With `refreshed` the rows, each with an `id`, are
    replaced every few seconds, and the grid is not dimmed meanwhile.
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
            *region(
                f"{page}-rows",
                grid if refreshed else loading(grid, 380),
                html.P(id=f"{page}-note", className="card-note"),
            ),
        ],
        id=f"{page}-table",
        tabIndex=-1,
        className="card",
        **{"aria-labelledby": f"{page}-title"},
    )


def download(page: str) -> dmc.Button:
    """The button `<page>-csv`, which downloads the table."""
    return dmc.Button(
        "CSV", id=f"{page}-csv", leftSection=icon("download"), variant="default", size="xs",
        **{"aria-label": "Download the table as CSV"},
    )  # fmt: skip


def csv_name(page: str, chosen: Filters | None, module: str) -> str:
    """A file name that says what the file contains."""
    span = f"{chosen.start}_{chosen.end}" if chosen else ""
    parts = ["pharos", page, "".join(char for char in module if char.isalnum() or char in "_-"), span]
    return "-".join(part for part in parts if part) + ".csv"
