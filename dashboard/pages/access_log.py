"""Access log: who accessed the license plane, and which query they ran. It contains no data of that plane."""

from datetime import UTC, datetime
from typing import Any

from dash import Dash, Input, Output, html

from core.access_log import AccessLogEntry
from dashboard import messages
from dashboard.cards import heading
from dashboard.data_source import DataSource
from dashboard.formatting import count
from dashboard.grids import grid_card
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill

MOST = 5000
CHANNELS = {
    "page": "Page", "page flags": "Page, flags", "csv": "CSV file", "api installs": "API, installs",
    "api flags": "API, flags",
    "narrow questions": "API, metrics", "cases": "Page, cases", "cases csv": "CSV file, cases", "case": "Page, case",
    "case json": "JSON file, case", "case changed": "Case changed", "case undone": "Case, undone",
    "key looked up": "Key looked up",
    "keys looked up": "Keys looked up", "api cases": "API, cases", "api case": "API, case",
    "trends": "Page, trends", "api trends": "API, trends", "cases digest": "E-mail, cases",
    "webhook": "Webhook", "webhook tested": "Webhook, test",
}  # fmt: skip
TEXT = {"filter": "agTextColumnFilter", "floatingFilter": True}
COLUMNS = [
    {"field": "time", "headerName": "Time (UTC)", "width": 190, "cellClass": "number", "sort": "desc"},
    {"field": "who", "headerName": "User", "width": 180, "cellClass": "strong", **TEXT},
    {"field": "role", "headerName": "Role", "width": 130, **TEXT},
    {"field": "what", "headerName": "Through", "width": 150, **TEXT},
    {"field": "question", "headerName": "Query", "minWidth": 240, "flex": 1, "tooltipField": "question"},
    {"field": "rows", "headerName": "Rows", "width": 130, "cellClass": "number"},
]


def layout() -> html.Div:
    """The page without its rows."""
    return html.Div(
        [
            heading("access_log", "Access log", "Every access to the license plane. Entries cannot be changed here."),
            grid_card("access_log", "Entries", COLUMNS, around=340),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the page."""
    outputs = [Output("access_log-grid", "rowData"), Output("access_log-note", "children")]

    @fill(callbacks, page, "access_log-rows", outputs, Input("url", "pathname"))
    def access_log(_pathname: str) -> Instead | tuple[Any, ...]:
        entries = data.access_log.entries(MOST + 1)
        if not entries:
            return Instead(messages.no_accesses())
        shown, older = f"{count(len(entries))} {'entry' if len(entries) == 1 else 'entries'}.", ""
        if len(entries) > MOST:
            shown, older = f"The latest {count(MOST)} entries.", " Run pharos access list for older ones."
        note = f"{shown} Entries are kept for 13 months. Tokens are shown by their id, see pharos tokens list.{older}"
        return [_row(entry) for entry in entries[:MOST]], note


def _row(entry: AccessLogEntry) -> dict[str, Any]:
    return {
        "time": datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "who": entry.who,
        "role": entry.role,
        "what": CHANNELS.get(entry.what, entry.what),
        "question": ", ".join(f"{name} {value}" for name, value in entry.question.items()) or "all rows",
        "rows": entry.rows,
    }
