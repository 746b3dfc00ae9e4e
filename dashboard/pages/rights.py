"""Rights: owners' requests about their data, and the state of each. The page does not say who sent a request."""

from datetime import UTC, datetime
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard import freshness, messages
from dashboard.cards import FigureText, figure_card, figure_outputs, figure_values, heading
from dashboard.data_source import DataSource
from dashboard.formatting import count, duration, plural
from dashboard.grids import grid_card
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from warehouse.install_data import MOST_REQUESTS, Requested

REFRESH_SECONDS = 15

COLUMNS = [
    {"field": "received", "headerName": "Received", "minWidth": 185, "flex": 2, "cellClass": "number", "sort": "desc"},
    {"field": "action", "headerName": "Action", "minWidth": 110, "flex": 2, "cellClass": "strong"},
    {"field": "state", "headerName": "State", "minWidth": 110, "flex": 2, "cellRenderer": "Status"},
    {"field": "took", "headerName": "Duration", "minWidth": 130, "flex": 2,
     "headerTooltip": "Time from the answer to the request until it was completed"},
    {"field": "id", "headerName": "Request", "minWidth": 170, "flex": 3, "cellClass": "mono",
     "headerTooltip": "A random id, the same as in pharos rights list"},
]  # fmt: skip


CARDS = {"rights_pending": "Pending", "rights_duration": "Median time to complete", "rights_failed": "Failed"}


def layout() -> html.Div:
    """The page without its rows."""
    cards = html.Dl([figure_card(name, label) for name, label in CARDS.items()], className="figures")
    return html.Div(
        [
            heading("rights", "Rights", "What owners requested about their data. No request says who sent it."),
            dcc.Interval(id="rights-refresh", interval=REFRESH_SECONDS * 1000),
            *region("rights", cards, grid_card("rights", "Requests", COLUMNS, around=420, refreshed=True)),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    refresh = Input("rights-refresh", "n_intervals")
    rows = [Output("rights-grid", "rowData"), Output("rights-note", "children")]

    @fill(callbacks, page, "rights", figure_outputs(*CARDS), refresh)
    def figures(_refreshed: int | None) -> tuple[str, ...]:
        return figure_values(*_figures(data.rights_requests(), datetime.now(UTC)))

    @fill(callbacks, page, "rights-rows", rows, refresh)
    def requests(_refreshed: int | None) -> Instead | tuple[Any, ...]:
        found = data.rights_requests()
        if not found:
            return Instead(messages.no_requests())
        note = (
            "Times are UTC. The result of an access request can be read only with its ticket. "
            "Records are kept for 13 months."
        )
        if len(found) == MOST_REQUESTS:
            note = f"The latest {count(MOST_REQUESTS)} requests. {note}"
        return [_row(each) for each in found], note

    freshness.register(callbacks, page, data, refresh)


def _figures(requests: list[Requested], now: datetime) -> list[FigureText]:
    pending = [each for each in requests if each.state == "pending"]
    failed = sum(each.state == "failed" for each in requests)
    oldest = f"oldest: {duration(now - min(each.received for each in pending))}" if pending else "none waiting"
    took = sorted(each.done - each.received for each in requests if each.done)
    return [
        FigureText(count(len(pending)), oldest),
        FigureText(duration(took[len(took) // 2]) if took else "–", f"of {plural(len(took), 'completed request')}"),
        FigureText(count(failed), f"of {plural(len(requests), 'request')}"),
    ]


def _row(each: Requested) -> dict[str, Any]:
    return {
        "received": f"{each.received:%Y-%m-%d %H:%M:%S}",
        "action": each.action,
        "state": each.state,
        "took": duration(each.done - each.received) if each.done else "",
        "id": f"{each.id:016x}",
    }
