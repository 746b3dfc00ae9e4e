"""Installs: those whose license status is not `licensed`, and what about them needs a review."""

from typing import Any
from urllib.parse import parse_qs

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask import abort

from dashboard import freshness, messages
from dashboard import mantine as dmc
from dashboard.audited_licensing import MOST_REQUESTS, MOST_ROWS
from dashboard.cards import heading
from dashboard.case_words import spelled
from dashboard.data_source import DataSource
from dashboard.flag_list import flags_card, flags_content
from dashboard.formatting import plural
from dashboard.grids import csv_name, download, grid_card
from dashboard.links import link, parameter
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, message
from warehouse.queries.licensing import MOST_UNSEALED, STATUSES, check


def _column(field: str, name: str, width: int, **more: Any) -> dict[str, Any]:
    return {"field": field, "headerName": name, "minWidth": width, "width": width, **more}


TEXT = {"filter": "agTextColumnFilter"}
COLUMNS = [
    _column("status", "Reported", 145, cellRenderer="Status", headerTooltip="As the module reports it", **TEXT),
    _column("review", "Needs review", 195, cellRenderer="Flags", tooltipField="evidence", flex=1, **TEXT),
    _column("module", "Module", 150, cellClass="strong", **TEXT),
    _column("version", "Version", 100),
    _column("source", "Source", 190, **TEXT),
    _column("ip", "IP", 150, cellClass="mono", tooltipField="ip", **TEXT),
    _column("last_seen", "Last seen", 160, cellClass="number", sort="desc"),
    _column("first_seen", "First seen", 160, cellClass="number"),
    _column("country", "Country", 90),
    _column("id", "Install", 170, cellClass="mono", headerTooltip="The install's pseudonym in the license plane",
            **TEXT),
    _column("evidence", "Evidence", 200, hide=True),
]  # fmt: skip


def layout() -> html.Div:
    """The page without its rows."""
    return html.Div(
        [
            heading(
                "licensing",
                "Installs",
                "Flags, and installs whose license status is not licensed: a reason to ask, not a verdict.",
            ),
            dcc.Store(id="licensing-exported"),
            message("licensing-csv"),
            flags_card(),
            grid_card("licensing", "Installs", COLUMNS, around=400, tools=_tools()),
        ]
    )


def _tools() -> dmc.Group:
    statuses = dmc.MultiSelect(
        id="status-filter", data=list(STATUSES), placeholder="All except licensed", clearable=True, size="xs",
        className="status-filter", **{"aria-label": "License status"},
    )  # fmt: skip
    return dmc.Group([statuses, download("licensing")], gap="xs")


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")
    outputs = [
        Output("licensing-grid", "rowData"),
        Output("licensing-grid", "csvExportParams"),
        Output("licensing-note", "children"),
    ]

    @fill(callbacks, page, "licensing-rows", outputs, search)
    def licensing(search: str) -> Instead | tuple[Any, ...]:
        query = _query(search)
        rows, cursor = data.audited_licensing.page(query)
        module = query.get("module", "")
        if not rows and cursor:
            # Each request for such a page has unsealed as many installs as one may.
            return Instead(
                messages.none_so_far(MOST_REQUESTS * MOST_UNSEALED, link(page.path, search, {"after": cursor}))
            )
        if not rows:
            known = data.audited_licensing.any_install()
            return Instead(
                messages.none_to_review(module, query.get("key", "")) if known else messages.no_beacons_yet()
            )
        csv = {"fileName": csv_name("licensing", None, module), "allColumns": True}
        return [_row(row) for row in rows], csv, _note(len(rows), page.path, search, cursor)

    lists = ("licensing-incidents", "licensing-flag-list", "licensing-flags-note")

    @fill(callbacks, page, "licensing-flags", [Output(name, "children") for name in lists], search)
    def flags(search: str) -> Instead | tuple[Any, ...]:
        query = _query(search)
        check(query)  # an address with an unknown value reads nothing of the license plane
        module = query.get("module", "")
        answer = data.audited_licensing.flags_page({"module": module} if module else {})
        if not answer["flags"] and not answer["incidents"]:
            return Instead(html.P("No flag.", className="card-note"))
        return flags_content(answer)

    freshness.register(callbacks, page, data, search)

    # Only the grid knows how many rows its own filters leave. The file is made once the access is logged.
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "countRows"),
        Output("licensing-exported", "data"),
        Input("licensing-csv", "n_clicks"),
        State("licensing-grid", "virtualRowData"),
        State("licensing-grid", "rowData"),
        prevent_initial_call=True,
    )

    @fill(
        callbacks,
        page,
        "licensing-csv",
        [Output("licensing-grid", "exportDataAsCsv")],
        Input("licensing-exported", "data"),
        State("url", "search"),
        content=False,
        prevent_initial_call=True,
    )
    def export(exported: dict[str, int] | None, search: str) -> tuple[bool]:
        if not exported:
            return (False,)
        rows = exported.get("rows") if isinstance(exported, dict) else None
        if not (isinstance(rows, int) and 0 <= rows <= MOST_ROWS):
            abort(400)  # not a count of this page's rows
        data.audited_licensing.csv(_query(search), rows)
        return (True,)

    dash_app.clientside_callback(
        ClientsideFunction("pharos", "showStatuses"),
        Output("status-filter", "data"),
        Output("status-filter", "value"),
        search,
        State("status-filter", "data"),
    )
    dash_app.clientside_callback(ClientsideFunction("pharos", "chooseStatuses"), Input("status-filter", "value"))


def _note(rows: int, path: str, search: str, cursor: str | None) -> list[Any]:
    """The text below the grid, with links to the next installs and to the first ones."""
    text = "each the latest report of an install for a module. Times are UTC. IP addresses are kept 30 days."
    parts: list[Any] = [f"{plural(rows, 'row')}, {text}"]
    if key := parameter(search, "key"):
        href = link(path, search, {"key": "", "after": ""})
        parts += [f" Only installs that have reported the key {key}: ", dcc.Link("show all", href=href), "."]
    if cursor:
        parts += [" There may be others: ", dcc.Link("show the next", href=link(path, search, {"after": cursor})), "."]
    if parameter(search, "after"):
        parts += [" ", dcc.Link("Back to the first", href=link(path, search, {"after": ""})), "."]
    return parts


def _query(search: str | None) -> dict[str, str]:
    """The query of the license plane that the page's address stands for."""
    given = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    more = {"module": given.get("module", ""), "key": given.get("key", ""), "cursor": given.get("after", "")}
    return {"status": given.get("status", "!licensed"), **{name: value for name, value in more.items() if value}}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the grid, from a row of the read API."""
    flags = row["flags"]
    return {
        **{name: row[name] or "" for name in ("id", "module", "version", "status", "source", "ip", "country")},
        "first_seen": _minute(row["first_seen"]),
        "last_seen": _minute(row["last_seen"]),
        "review": ", ".join(flag["rule"].replace("_", " ").capitalize() for flag in flags),
        "cases": [f"/licensing/{flag['case']}" for flag in flags],
        "evidence": "; ".join(spelled(flag["evidence"]) for flag in flags),
    }


def _minute(time: str) -> str:
    """`2026-11-23 14:02`, or the day alone; both also sort as text."""
    return time[:16].replace("T", " ")
