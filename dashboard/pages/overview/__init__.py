"""Today: what changed, how many installs are active, and what they run on."""

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard import freshness, messages
from dashboard.cards import chart_card, heading
from dashboard.data_source import DataSource
from dashboard.empty_ranges import why_empty
from dashboard.pages.overview import breakdowns, figures, installs_over_time, lifecycle, movers, sentences
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from warehouse.queries.small_groups import OTHER


def layout() -> html.Div:
    """The page without its figures."""
    return html.Div(
        [
            heading("overview", "Today", "What changed, how many installs are active, and what they run on."),
            *region(
                "overview",
                dcc.Input(type="hidden", id="overview-told"),
                sentences.layout(),
                figures.layout(),
                lifecycle.layout(),
                chart_card(installs_over_time.CHART, None, 280),
                movers.CARD.layout(),
                breakdowns.layout(),
                html.P(id="overview-footnote", className="footnote"),
            ),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @fill(callbacks, page, "overview", [Output("overview-footnote", "children")], search)
    def overview(search: str) -> Instead | tuple[str]:
        chosen = data.chosen(search)
        if not data.total(chosen.args()):
            return Instead(why_empty(data, chosen))
        folded = f"Groups of fewer than {data.k} installs are folded into {OTHER}. " if data.k > 1 else ""
        counted = "An install counts once, under the value that it reported last in the range."
        if not chosen.counts_once:
            counted = "With a filter by feature, an install counts under each value that it reported in the range."
        elif not chosen.module:
            counted += " Module versions are the exception: it counts under each version of each module."
        return (f"{folded}{messages.precision(data, chosen)}{counted}",)

    freshness.register(callbacks, page, data, search)
    figures.register(page, callbacks, data)
    installs_over_time.register(page, callbacks, data)
    breakdowns.register(page, callbacks, data, search)
    # These ask the most: after the figures, which would otherwise wait for them. The input has the address.
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "second"),
        Output("overview-told", "value"),
        Input("overview-figures-message", "children"),
        State("url", "search"),
    )
    for part in (sentences, lifecycle, movers.CARD):
        part.register(page, callbacks, data, Input("overview-told", "value"))
