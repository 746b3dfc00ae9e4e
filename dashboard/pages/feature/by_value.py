"""The share of the installs of each version, PHP and WHMCS series that use the feature."""

from typing import Any

from dash import html

from dashboard import messages
from dashboard.answer_rows import known_rows
from dashboard.data_source import DataSource, api_call
from dashboard.display_names import DIMENSIONS as TITLES
from dashboard.formatting import withheld
from dashboard.links import filter_link
from dashboard.pages.feature.chosen import Shown, read
from dashboard.pages.features.rows import share_of
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING, Linked, Part, table, table_card, table_outputs
from warehouse.queries import dimensions
from warehouse.queries.small_groups import OTHER

DIMENSIONS = {"version": "By version", "php_series": "By PHP", "whmcs_series": "By WHMCS"}
MOST = 12


def layout(dimension: str) -> html.Section:
    """The card of a dimension."""
    return table_card(f"feature-{dimension}", DIMENSIONS[dimension], None, dimension)


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any, dimension: str) -> None:
    """The callback of a card."""
    name = f"feature-{dimension}"

    @fill(callbacks, page, name, table_outputs(name), search)
    def by_value(search: str) -> Instead | tuple[Any, ...]:
        shown = read(data, search)
        return _table(data, shown, search, dimension) if shown else NOTHING


def _table(data: DataSource, shown: Shown, search: str, dimension: str) -> Instead | tuple[Any, ...]:
    users = shown.chosen.args(by=dimension, grain="period", feature=shown.feature)
    base = shown.chosen.base(by=dimension, grain="period")
    used = {row["key"]: row["value"] for row in data.ask("feature_installs", users)["rows"]}
    active = [row for row in known_rows(data.ask("installs", base)["rows"]) if row["key"] and row["key"] != OTHER]
    newest = sorted(active, key=lambda row: dimensions.order(dimension, row["key"]), reverse=True)[:MOST]
    rows = []
    for row in newest:
        number = used.get(row["key"])
        linked = Linked(row["key"], filter_link("/feature", search, dimension, row["key"]), refine=True)
        rows.append((linked, number, row["value"], Part(share_of(number, row["value"]))))
    if not rows:
        return Instead(messages.too_few(data.k))
    calls = api_call("feature_installs", users), api_call("installs", base)
    columns = (TITLES[dimension], "Used it", "Installs", "Share")
    note = "An install counts under each value that it reported in the range. Newest first."
    if dimension == "version":
        note = (
            "Use while on the version. An install counts under each version that it reported in the range. Installs "
            "ran them for different numbers of days, so their shares do not compare. Newest first."
        )
    if any(row[1] is None for row in rows):
        note += f" {withheld(data.k).capitalize()}."
    return table(f"Use by {TITLES[dimension]}", columns, rows, calls, note)
