"""Versions of a module: which are in use, how fast releases take hold, and who is left on old ones."""

from typing import Any

from dash import Dash, Input, Output, html

from dashboard import filters, freshness
from dashboard.cards import chart_card, heading
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from dashboard.empty_ranges import why_empty
from dashboard.filters import unfiltered
from dashboard.module_choice import ask_for_module
from dashboard.pages.versions import adoption, by_week, in_use, upgrades, watch, what_they_run
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region

PARTS = (watch, by_week, adoption, in_use.CARD, upgrades.CARD, what_they_run.CARD)


def layout() -> html.Div:
    """The page without its figures."""
    return html.Div(
        [
            heading("versions", "Versions", "Which versions of a module are in use, and how releases take hold."),
            *region(
                "versions",
                html.P(id="versions-of", className="named-line"),
                watch.layout(),
                html.Div([chart_card(part.CHART, None, 340) for part in (by_week, adoption)], className="charts"),
                in_use.CARD.layout(),
                html.Div([upgrades.CARD.layout(), what_they_run.CARD.layout()], className="charts"),
            ),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @fill(callbacks, page, "versions", [Output("versions-of", "children")], search)
    def versions(search: str) -> Instead | tuple[Any]:
        chosen = data.chosen(search)
        if not chosen.module:
            return Instead(ask_for_module(data, search, "/versions"))
        if not data.total(unfiltered(chosen).args()):
            return Instead(why_empty(data, chosen))
        name = display_name(data.catalog(), "module", chosen.module, filters.today())
        return (f"Versions of {name.label}. {name.said}{'.' if name.said else ''}".strip(),)

    for part in PARTS:
        part.register(page, callbacks, data, search)
    freshness.register(callbacks, page, data, search)
