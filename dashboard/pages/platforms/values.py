"""The cards of one dimension each: its values by installs, with their share, and how many installs report it."""

from typing import Any

from dash import Output, html

from dashboard import messages
from dashboard.data_source import DataSource
from dashboard.display_names import DIMENSIONS as DIMENSION_TITLES
from dashboard.empty_ranges import why_empty
from dashboard.links import link, parameter
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill_each
from dashboard.tables import anchor, table_card, table_outputs
from dashboard.value_table import value_table

DIMENSIONS = (
    "php_series", "whmcs_series", "database_series", "web_server_series", "os_release", "virtualization", "country",
    "arch",
)  # fmt: skip
CARDS = tuple(one for one in DIMENSIONS if one != "country")  # which has a card with a map
PATCH_LEVEL = {
    "php_series": "php", "whmcs_series": "whmcs", "database_series": "database", "web_server_series": "web_server",
}  # fmt: skip
MOST = 10


def layout(dimension: str) -> html.Section:
    """The card of a dimension."""
    name = f"platforms-{dimension}"
    return table_card(name, DIMENSION_TITLES[dimension], html.Span(id=f"{name}-level", className="levels"), dimension)


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the cards. One statement counts all dimensions."""
    names = {f"platforms-{dimension}": dimension for dimension in CARDS}
    outputs = {name: [*table_outputs(name), Output(f"{name}-level", "children")] for name in names}

    @fill_each(callbacks, page, outputs, search)
    def values(name: str, search: str) -> Instead | tuple[Any, ...]:
        dimension, chosen = names[name], data.chosen(search)
        detailed = parameter(search, "patch") == dimension
        by = PATCH_LEVEL.get(dimension, dimension) if detailed else dimension
        if not data.total(chosen.args()):
            return Instead(why_empty(data, chosen))
        shown = value_table(data, "/platforms", search, by, MOST)
        return (*shown, _level(search, dimension, detailed=detailed)) if shown else Instead(messages.too_few(data.k))


def _level(search: str, dimension: str, *, detailed: bool) -> Any:
    if dimension not in PATCH_LEVEL:
        return ""
    text = "By series" if detailed else "By patch level"
    href = link("/platforms", search, {"patch": "" if detailed else dimension})
    return anchor(
        [text, html.Span(f" of {DIMENSION_TITLES[dimension]}", className="visually-hidden")], href, refine=True
    )
