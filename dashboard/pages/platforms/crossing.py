"""The heat map of any two dimensions. The address has them: `rows=php_series&columns=whmcs_series`."""

from typing import Any

from dash import Output, html

from dashboard import messages
from dashboard.crossing import crossed
from dashboard.data_source import DataSource
from dashboard.display_names import DIMENSIONS as TITLES
from dashboard.links import link, parameter
from dashboard.pages.platforms.values import DIMENSIONS
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, message
from dashboard.static_html import StaticHtml, static
from dashboard.tables import anchor, table_card, table_outputs
from warehouse.queries.dimensions import QueryError

NAME = "platforms-crossed"
CHOICES = (*DIMENSIONS, "module", "version_series", "license_status")
DEFAULT = {"rows": "whmcs_series", "columns": "php_series"}


def layout() -> html.Section:
    """The card of the heat map."""
    axes = html.Div([message("platforms-axes"), html.Div(id="platforms-axes", className="axes")])
    return table_card(NAME, "Two crossed", axes)


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the heat map."""

    # The choices are a region of their own: they stay where the figures are too few.
    @fill(callbacks, page, "platforms-axes", [Output("platforms-axes", "children")], search, content=False)
    def axes(search: str) -> tuple[Any]:
        return ([_axis(search, axis) for axis in DEFAULT],)

    @fill(callbacks, page, NAME, table_outputs(NAME), search)
    def crossing(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        by, other = (chosen_axis(search, axis) for axis in DEFAULT)
        if by == other:
            raise QueryError("out_of_range", "columns", "must be another dimension than the rows")
        return crossed(data, chosen, by, other, "/platforms", search) or Instead(messages.too_few(data.k))


def chosen_axis(search: str, axis: str) -> str:
    """The dimension of an axis. Raises `QueryError`."""
    given = parameter(search, axis) or DEFAULT[axis]
    if given not in CHOICES:
        raise QueryError("bad_format", axis, f"must be one of {', '.join(CHOICES)}")
    return given


def _axis(search: str, axis: str) -> StaticHtml:
    """The links that choose an axis. What the other one has cannot be chosen."""
    here, there = (chosen_axis(search, one) for one in (axis, *(DEFAULT.keys() - {axis})))
    links = [
        anchor(TITLES[one], link("/platforms", search, {axis: one}), refine=True, className="axis")
        if one != here
        else html.Strong(TITLES[one], className="axis")
        for one in CHOICES
        if one != there
    ]
    return static(html.Div([html.Span(f"{axis.capitalize()}:", className="dim"), *links], className="axis-line"))
