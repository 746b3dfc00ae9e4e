"""What if we drop…: whom it would hurt to drop support for what the filters select, such as PHP below 8.0."""

from typing import Any

from dash import Dash, Input, Output, html

from dashboard import freshness, messages
from dashboard.cards import heading
from dashboard.conditions import all_in_words
from dashboard.data_source import DataSource
from dashboard.empty_ranges import why_empty
from dashboard.filters import unfiltered
from dashboard.pages.drop import ends, features, hurt, modules, suggestions, trend, versions
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region

PARTS = (suggestions, hurt, trend)
CARDS = (modules.CARD, ends.CARD, versions.CARD, features.CARD)


def layout() -> html.Div:
    """The page without its figures."""
    text = "The filters say what would be dropped. The address holds all of it: copy it to send the question."
    return html.Div(
        [
            heading("drop", "What if we drop…", text),
            suggestions.layout(),
            *region(
                "drop",
                html.P(id="drop-what", className="strong"),
                hurt.layout(),
                trend.layout(),
                html.Div([card.layout() for card in CARDS], className="charts"),
            ),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @fill(callbacks, page, "drop", [Output("drop-what", "children")], search)
    def drop(search: str) -> Instead | tuple[Any]:
        chosen = data.chosen(search)
        if "feature" in chosen.conditions:
            return Instead(messages.no_filter_by_feature())
        if not data.total(unfiltered(chosen).args()):
            return Instead(why_empty(data, chosen))
        if not chosen.conditions:
            return Instead(messages.nothing_dropped())
        return (f"If we drop {all_in_words(chosen.conditions)}{f' for {chosen.module}' if chosen.module else ''}:",)

    for part in (*PARTS, *CARDS):
        part.register(page, callbacks, data, search)
    freshness.register(callbacks, page, data, search)
