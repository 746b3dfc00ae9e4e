"""Trends of licensing: what installs report, what the rules find, and what becomes of it."""

from typing import Any

from dash import Dash, Input, html

from dashboard import freshness
from dashboard.cards import chart_card, heading
from dashboard.data_source import DataSource
from dashboard.pages.trends import flags, reported
from dashboard.permissions import Callbacks, Page
from dashboard.regions import region


def layout() -> html.Div:
    """The page without its figures."""
    return html.Div(
        [
            heading(
                "trends",
                "Trends",
                "What installs report about their license, what the rules find, and what becomes of it. The range "
                "is that of the first two cards.",
            ),
            html.Div([chart_card(chart, None, 340) for chart in reported.CHARTS_OF], className="charts"),
            *region("trends", *flags.layout()),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search: Any = Input("url", "search")
    reported.register(page, callbacks, data, search)
    flags.register(page, callbacks, data, search)
    freshness.register(callbacks, page, data, search)
