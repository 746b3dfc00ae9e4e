"""Health: the state of Pharos itself, for those who run it. It works without ClickHouse, and refreshes itself."""

from dash import Dash, Input, dcc, html

from dashboard import freshness
from dashboard.cards import chart_card, heading
from dashboard.data_source import DataSource
from dashboard.pages.health import beacons, figures, loaders, tables
from dashboard.permissions import Callbacks, Page
from dashboard.regions import region

REFRESH_SECONDS = 15


def layout() -> html.Div:
    """The page without its figures. Nothing on it is dimmed while it loads, because it would flicker."""
    return html.Div(
        [
            heading("health", "Health", f"The state of Pharos itself. Refreshed every {REFRESH_SECONDS} seconds."),
            dcc.Interval(id="health-refresh", interval=REFRESH_SECONDS * 1000),
            figures.layout(),
            *region("health", chart_card(beacons.CHART, None, 280, refreshed=True), loaders.layout(), tables.layout()),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    refresh = Input("health-refresh", "n_intervals")
    for part in (figures, loaders, beacons, tables):
        part.register(page, callbacks, data, refresh)
    freshness.register(callbacks, page, data, refresh)
