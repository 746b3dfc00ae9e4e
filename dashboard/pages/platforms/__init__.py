"""Platforms: what installs run on, series first, and any two of it crossed."""

from dash import Dash, Input, html

from dashboard import freshness
from dashboard.cards import heading
from dashboard.data_source import DataSource
from dashboard.pages.platforms import by_country, crossing, values
from dashboard.permissions import Callbacks, Page


def layout() -> html.Div:
    """The page without its figures."""
    return html.Div(
        [
            heading("platforms", "Platforms", "What installs run on. Choose a value to filter by it."),
            html.Div([values.layout(dimension) for dimension in values.CARDS], className="charts"),
            by_country.layout(),
            crossing.layout(),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")
    values.register(page, callbacks, data, search)
    by_country.register(page, dash_app, callbacks, data, search)
    crossing.register(page, callbacks, data, search)
    freshness.register(callbacks, page, data, search)
