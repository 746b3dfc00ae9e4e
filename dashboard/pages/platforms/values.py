"""The cards of one dimension each: its values by installs, with their share, and how many installs report it."""

from collections.abc import Callable, Sequence
from typing import Any

from dash import Output, html

from dashboard import messages
from dashboard.charts.bars import Row, known_rows, largest_rows
from dashboard.data_source import EVERY_DIMENSION, DataSource, api_call
from dashboard.display_names import DIMENSIONS as DIMENSION_TITLES
from dashboard.empty_ranges import why_empty
from dashboard.formatting import coverage
from dashboard.links import filter_link, link, parameter
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.tables import Cell, Linked, Part, anchor, table, table_card, table_outputs
from warehouse.queries.small_groups import OTHER

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


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any, dimension: str) -> None:
    """The callback of a card."""
    name = f"platforms-{dimension}"

    @fill(callbacks, page, name, [*table_outputs(name), Output(f"{name}-level", "children")], search)
    def values(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        detailed = parameter(search, "patch") == dimension
        by = PATCH_LEVEL.get(dimension, dimension) if detailed else dimension
        args = chosen.args(by=by, grain="period", count="latest")
        found = [
            row for row in known_rows(data.ask("installs", args, side_by_side=EVERY_DIMENSION)["rows"]) if row["key"]
        ]
        active = data.total(chosen.args())
        if not active:
            return Instead(why_empty(data, chosen))
        if not found:
            return Instead(messages.too_few(data.k))
        return *_shown(search, args, found, active), _level(search, dimension, detailed=detailed)


def _shown(search: str, args: dict[str, str], found: list[Row], active: int) -> tuple[Any, ...]:
    shown, by = largest_rows(found, MOST), args["by"]
    total = sum(row["value"] for row in shown)
    rows = value_rows(search, by, shown, total)
    title = DIMENSION_TITLES[by]
    note = coverage(min(total, active), active)
    named = sum(row["key"] != OTHER for row in found)
    if named > MOST:
        note += f" The {MOST} largest of {named}; the others are in {OTHER}."
    calls = [api_call("installs", args)]
    return table(f"Installs by {title}", (title, "Installs", "Share"), rows, calls, note)


def value_rows(
    search: str, by: str, rows: Sequence[Row], total: int, name: Callable[[str], str] = str
) -> list[tuple[Cell, ...]]:
    """Rows of a table: each value of a dimension, which filters by itself, its installs, and its share of `total`."""
    return [
        (
            Linked(name(row["key"]), filter_link("/platforms", search, by, row["key"]), refine=True),
            row["value"],
            Part(row["value"] / total),
        )
        for row in rows
    ]


def _level(search: str, dimension: str, *, detailed: bool) -> Any:
    if dimension not in PATCH_LEVEL:
        return ""
    text = "By series" if detailed else "By patch level"
    href = link("/platforms", search, {"patch": "" if detailed else dimension})
    return anchor(
        [text, html.Span(f" of {DIMENSION_TITLES[dimension]}", className="visually-hidden")], href, refine=True
    )
