"""Rights: what owners asked about their data, and how far each request is. Nothing here says who asked."""

from datetime import UTC, datetime
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard import freshness, messages
from dashboard.cards import figure_card, heading
from dashboard.data_source import DataSource
from dashboard.formatting import count, duration, plural
from dashboard.grids import grid_card
from dashboard.permissions import Callbacks, Page
from warehouse.engine import EngineError
from warehouse.install_data import MOST_REQUESTS, Requested

REFRESH_SECONDS = 15
HIDDEN = {"display": "none"}

COLUMNS = [
    {"field": "received", "headerName": "Received", "minWidth": 185, "flex": 2, "cellClass": "number", "sort": "desc"},
    {"field": "action", "headerName": "Action", "minWidth": 110, "flex": 2, "cellClass": "strong"},
    {"field": "state", "headerName": "State", "minWidth": 110, "flex": 2, "cellRenderer": "Status"},
    {"field": "took", "headerName": "Took", "minWidth": 130, "flex": 2,
     "headerTooltip": "From the answer to the request until it was carried out"},
    {"field": "id", "headerName": "Request", "minWidth": 170, "flex": 3, "cellClass": "mono",
     "headerTooltip": "A random number, as in pharos rights list"},
]  # fmt: skip


def layout() -> html.Div:
    """The page without its rows."""
    return html.Div(
        [
            heading("rights", "Rights", "What owners of servers asked about their data. No request says who asked."),
            dcc.Interval(id="rights-refresh", interval=REFRESH_SECONDS * 1000),
            html.Div(
                [
                    html.Dl(id="rights-figures", className="figures"),
                    grid_card("rights", "Requests", COLUMNS, around=420, refreshed=True),
                ],
                id="rights-body",
            ),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the page."""

    @callbacks.add(
        page,
        Output("rights-notice", "children"),
        Output("rights-fresh", "children"),
        Output("rights-body", "style"),
        Output("rights-figures", "children"),
        Output("rights-empty", "children"),
        Output("rights-rows", "style"),
        Output("rights-grid", "rowData"),
        Output("rights-note", "children"),
        Input("rights-refresh", "n_intervals"),
    )
    def rights(_refreshed: int | None) -> tuple[Any, ...]:
        now = datetime.now(UTC)
        try:
            requests = data.rights_requests()
            fresh, stale = freshness.describe(data, data.fresh_to())
        except EngineError as error:
            return messages.notice(error), "", HIDDEN, [], "", HIDDEN, [], ""
        if not requests:
            return stale, fresh, {}, _figures(requests, now), messages.nothing_asked(), HIDDEN, [], ""
        note = (
            "Times are UTC. The result of an access can be read with its ticket alone. Records are kept for 13 months."
        )
        if len(requests) == MOST_REQUESTS:
            note = f"The newest {count(MOST_REQUESTS)}. {note}"
        return stale, fresh, {}, _figures(requests, now), "", {}, [_row(each) for each in requests], note


def _figures(requests: list[Requested], now: datetime) -> list[Any]:
    pending = [each for each in requests if each.state == "pending"]
    failed = sum(each.state == "failed" for each in requests)
    oldest = f"the oldest for {duration(now - min(each.received for each in pending))}" if pending else "none waits"
    took = sorted(each.done - each.received for each in requests if each.done)
    middle = duration(took[len(took) // 2]) if took else "–"
    return [
        figure_card("Pending", count(len(pending)), oldest),
        figure_card("Carried out in", middle, "half of them in less"),
        figure_card("Failed", count(failed), f"of {plural(len(requests), 'request')}"),
    ]


def _row(each: Requested) -> dict[str, Any]:
    return {
        "received": f"{each.received:%Y-%m-%d %H:%M:%S}",
        "action": each.action,
        "state": each.state,
        "took": duration(each.done - each.received) if each.done else "",
        "id": f"{each.id:016x}",
    }
