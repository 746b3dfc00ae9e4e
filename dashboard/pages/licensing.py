"""Licensing: the installs that report another license status than `licensed`, and what about them needs a look."""

from typing import Any
from urllib.parse import parse_qs

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from flask import abort

from core.access_log import AccessLogError
from dashboard import freshness, messages
from dashboard.audited_licensing import MOST_ROWS
from dashboard.cards import heading
from dashboard.data_source import DataSource
from dashboard.formatting import count
from dashboard.grids import csv_name, download, grid_card
from dashboard.permissions import Callbacks, Page
from warehouse.engine import EngineError
from warehouse.queries.licensing import STATUSES
from warehouse.queries.metrics import QueryError


def _column(field: str, name: str, width: int, **more: Any) -> dict[str, Any]:
    return {"field": field, "headerName": name, "minWidth": width, "width": width, **more}


TEXT = {"filter": "agTextColumnFilter"}
COLUMNS = [
    _column("status", "Reported", 145, cellRenderer="Status", headerTooltip="License status, by the module", **TEXT),
    _column("review", "Needs review", 255, cellRenderer="Flags", tooltipField="evidence", flex=1, **TEXT),
    _column("module", "Module", 120, cellClass="strong", **TEXT),
    _column("version", "Version", 80),
    _column("source", "Source", 135, **TEXT),
    _column("ip", "IP", 130, cellClass="mono", tooltipField="ip", **TEXT),
    _column("last_seen", "Last seen", 160, cellClass="number", sort="desc"),
    _column("first_seen", "First seen", 160, cellClass="number"),
    _column("country", "Country", 90),
    _column("id", "Install", 170, cellClass="mono", headerTooltip="Pseudonym of the license plane"),
    _column("evidence", "Why", 200, hide=True),
]  # fmt: skip


def layout() -> html.Div:
    """The page without its rows."""
    return html.Div(
        [
            heading(
                "licensing",
                "Licensing",
                "Installs that report another status than licensed: a reason to ask, not a verdict.",
            ),
            dcc.Store(id="licensing-taken"),
            html.Div(
                grid_card("licensing", "Installs", COLUMNS, around=340, tools=_tools()),
                id="licensing-body",
            ),
        ]
    )


def _tools() -> dmc.Group:
    statuses = dmc.MultiSelect(
        id="status-filter", data=list(STATUSES), placeholder="All but licensed", clearable=True, size="xs",
        className="status-filter", **{"aria-label": "Reported status"},
    )  # fmt: skip
    return dmc.Group([statuses, download("licensing")], gap="xs")


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @callbacks.add(
        page,
        Output("licensing-notice", "children"),
        Output("licensing-fresh", "children"),
        Output("licensing-body", "style"),
        Output("licensing-empty", "children"),
        Output("licensing-rows", "style"),
        Output("licensing-title", "children"),
        Output("licensing-grid", "rowData"),
        Output("licensing-grid", "csvExportParams"),
        Output("licensing-note", "children"),
        search,
    )
    def licensing(search: str) -> tuple[Any, ...]:
        hidden = {"display": "none"}
        args = _asked(search)
        try:
            rows, more = data.audited_licensing.page(args)
            anything_yet = bool(rows) or data.audited_licensing.any_sighting()
            fresh, stale = freshness.describe(data, data.fresh_to())
        except (QueryError, EngineError, AccessLogError) as error:
            return messages.notice(error), "", hidden, "", hidden, "Installs", [], {}, ""
        if not rows:
            return stale, fresh, {}, messages.none_reported(anything_yet), hidden, "Installs", [], {}, ""
        title = f"{count(len(rows))} {'install' if len(rows) == 1 else 'installs'}"
        record = (
            "Each row is an install's latest report for a module. Times are UTC; IP addresses are kept for 30 days."
        )
        if more:
            title = f"First {count(MOST_ROWS)} installs"
            record = f"There are more than {count(MOST_ROWS)}: choose a module or a status to see the others. {record}"
        name = csv_name("licensing", None, args.get("module", ""))
        return stale, fresh, {}, "", {}, title, [_row(row) for row in rows], name, record

    # The grid alone knows how many rows its own filters leave; the file is made once the look is recorded.
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "countRows"),
        Output("licensing-taken", "data"),
        Input("licensing-csv", "n_clicks"),
        State("licensing-grid", "virtualRowData"),
        prevent_initial_call=True,
    )

    @callbacks.add(
        page,
        Output("licensing-grid", "exportDataAsCsv"),
        Output("licensing-notice", "children", allow_duplicate=True),
        Input("licensing-taken", "data"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def take(taken: dict[str, int] | None, search: str) -> tuple[Any, Any]:
        if not taken:
            return False, no_update
        rows = taken.get("rows") if isinstance(taken, dict) else None
        if not (isinstance(rows, int) and 0 <= rows <= MOST_ROWS):
            abort(400)  # not what our grid counts
        try:
            data.audited_licensing.csv(_asked(search), rows)
        except AccessLogError as error:
            return False, messages.notice(error)
        return True, no_update

    dash_app.clientside_callback(
        ClientsideFunction("pharos", "showStatuses"), Output("status-filter", "value"), Input("url", "search")
    )
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "chooseStatuses"), Input("status-filter", "value"), State("url", "search")
    )


def _asked(search: str | None) -> dict[str, str]:
    """What the page's address asks of the license plane."""
    given = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    module = given.get("module", "")
    return {"status": given.get("status", "!licensed"), **({"module": module} if module else {})}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A licensing row of the read API as the grid shows it."""
    flags = row["flags"]
    return {
        **{name: row[name] or "" for name in ("id", "module", "version", "status", "source", "ip", "country")},
        "first_seen": _minute(row["first_seen"]),
        "last_seen": _minute(row["last_seen"]),
        "review": ", ".join(flag["rule"].replace("_", " ").capitalize() for flag in flags),
        "evidence": "; ".join(flag["evidence"] for flag in flags),
    }


def _minute(rfc3339: str) -> str:
    """`2026-11-23 14:02`: reads well, and sorts as text."""
    return rfc3339[:16].replace("T", " ")
