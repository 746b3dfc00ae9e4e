"""Access log: who looked at the license plane, and at what. It holds nothing of that plane itself."""

from datetime import UTC, datetime
from typing import Any

from dash import Dash, Input, Output, html

from core.access_log import AccessLogEntry, AccessLogError
from dashboard import messages
from dashboard.cards import heading
from dashboard.data_source import DataSource
from dashboard.formatting import count
from dashboard.grids import grid_card
from dashboard.permissions import Callbacks, Page

MOST = 5000
WHAT = {"page": "Page", "csv": "CSV file", "api installs": "API, installs", "api flags": "API, flags"}
TEXT = {"filter": "agTextColumnFilter", "floatingFilter": True}
COLUMNS = [
    {"field": "time", "headerName": "Time (UTC)", "width": 190, "cellClass": "number", "sort": "desc"},
    {"field": "who", "headerName": "Who", "width": 180, "cellClass": "strong", **TEXT},
    {"field": "role", "headerName": "Role", "width": 130, **TEXT},
    {"field": "what", "headerName": "By", "width": 150, **TEXT},
    {"field": "question", "headerName": "Asked for", "minWidth": 240, "flex": 1, "tooltipField": "question"},
    {"field": "rows", "headerName": "Rows given", "width": 130, "cellClass": "number"},
]


def layout() -> html.Div:
    """The page without its rows."""
    return html.Div(
        [
            heading("access_log", "Access log", "Every look at the license plane. Nothing in it can be changed here."),
            html.Div(grid_card("access_log", "Looks", COLUMNS, around=340), id="access_log-body"),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""

    @callbacks.add(
        page,
        Output("access_log-notice", "children"),
        Output("access_log-body", "style"),
        Output("access_log-title", "children"),
        Output("access_log-grid", "rowData"),
        Output("access_log-note", "children"),
        Input("url", "search"),
    )
    def access_log(_search: str) -> tuple[Any, ...]:
        try:
            looks = data.access_log.entries(MOST + 1)
        except AccessLogError as error:
            return messages.notice(error), {"display": "none"}, "Looks", [], ""
        more = len(looks) > MOST
        looks = looks[:MOST]
        title = f"Last {count(MOST)} looks" if more else f"{count(len(looks))} {'look' if len(looks) == 1 else 'looks'}"
        older = " Older ones: pharos access list." if more else ""
        note = f"Kept for 13 months. A token is named by its id, as pharos tokens list tells it.{older}"
        return "", {}, title, [_row(look) for look in looks], note


def _row(look: AccessLogEntry) -> dict[str, Any]:
    return {
        "time": datetime.fromtimestamp(look.time, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "who": look.who,
        "role": look.role,
        "what": WHAT.get(look.what, look.what),
        "question": ", ".join(f"{name} {value}" for name, value in look.question.items()) or "everything",
        "rows": look.rows,
    }
