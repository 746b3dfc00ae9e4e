"""Conditions to begin with: the oldest series of PHP, WHMCS, the module and the databases, as links."""

from typing import Any

from dash import Output, html

from dashboard import messages
from dashboard.answer_rows import known_rows
from dashboard.conditions import database_thresholds, in_words, thresholds
from dashboard.data_source import DataSource
from dashboard.filters import Filters, unfiltered
from dashboard.links import link
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.static_html import StaticHtml, static
from dashboard.tables import anchor
from warehouse.queries import dimensions
from warehouse.queries.small_groups import OTHER

DIMENSIONS = ("php_series", "whmcs_series", "version_series", "database_series")
MOST = 3  # conditions of one dimension
MOST_OF_DATABASE = 2


def layout() -> html.Section:
    """The card without suggestions."""
    return html.Section(
        [
            html.Div(html.H2("Suggestions", id="drop-offers-title"), className="card-head"),
            *region("drop-offers", html.Div(id="drop-offers-body")),
        ],
        className="card",
        **{"aria-labelledby": "drop-offers-title"},
    )


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the card."""

    @fill(callbacks, page, "drop-offers", [Output("drop-offers-body", "children")], search)
    def suggest(search: str) -> Instead | tuple[Any]:
        chosen = data.chosen(search)
        lines = [line for dimension in DIMENSIONS for line in _line(search, chosen, data, dimension)]
        return (lines,) if lines else Instead(messages.nothing_to_suggest())


def _line(search: str, chosen: Filters, data: DataSource, dimension: str) -> list[StaticHtml]:
    """The conditions of one dimension as links, if there are any. Versions of different modules do not compare."""
    if dimension == "version_series" and not chosen.module:
        return []
    args = unfiltered(chosen).args(by=dimension, grain="period", count="latest")
    rows = known_rows(data.ask("installs", args, side_by_side=DIMENSIONS)["rows"])
    found = [str(row["key"]) for row in rows if row["key"] and row["key"] != OTHER]
    if dimension == "database_series":
        offers = database_thresholds(found, MOST_OF_DATABASE)
    else:
        offers = thresholds(dimension, found, MOST)
    others = {name: "" for name in chosen.conditions if dimensions.dimension_of(name) == dimension}
    links = [
        anchor(in_words(name, value), link("/drop", search, {**others, name: value}), refine=True, className="offer")
        for name, value in offers
    ]
    return [static(html.Div(links, className="offers"))] if links else []
