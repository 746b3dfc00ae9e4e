"""The cards of installs by one dimension each, by the latest report of each install."""

from typing import Any

from dash import Output, html

from dashboard import messages
from dashboard.answer_rows import known_rows, largest_rows
from dashboard.conditions import among
from dashboard.countries import named
from dashboard.data_source import DataSource, api_call
from dashboard.formatting import count
from dashboard.links import link
from dashboard.permissions import Callbacks, Page
from dashboard.regions import HIDDEN, SHOWN, Instead, fill, fill_each
from dashboard.tables import Linked, Part, table, table_card, table_outputs
from dashboard.value_table import value_table
from warehouse.queries.small_groups import OTHER

MOST = 8
VERSIONS = "installs_by_version"
# The dimension and the title of each card.
CARDS = {
    VERSIONS: ("version", "Module versions"),
    "installs_by_license_status": ("license_status", "License status"),
    "installs_by_os": ("os", "Operating systems"),
    "installs_by_virtualization": ("virtualization", "Virtualization"),
    "installs_by_php_series": ("php_series", "PHP versions"),
    "installs_by_whmcs_series": ("whmcs_series", "WHMCS versions"),
    "installs_by_country": ("country", "Countries"),
}
# Without a country database no install has a country: then there is no card.
COUNTRIES = "installs_by_country"


def layout() -> html.Div:
    """The cards, empty."""
    cards = [table_card(name, title, None, dimension) for name, (dimension, title) in CARDS.items()]
    return html.Div(cards, className="charts")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callbacks of the cards. One statement counts all dimensions, except the versions of several modules."""
    outputs = {name: table_outputs(name) for name in CARDS if name != VERSIONS}
    outputs[COUNTRIES].append(Output(f"{COUNTRIES}-card", "style"))

    @fill(callbacks, page, VERSIONS, table_outputs(VERSIONS), search)
    def versions(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        found = value_table(data, "/", search, "version", MOST) if chosen.module else _of_each_module(data, search)
        return found or Instead(messages.too_few(data.k))

    @fill_each(callbacks, page, outputs, search)
    def installs_by(name: str, search: str) -> Instead | tuple[Any, ...]:
        dimension, _ = CARDS[name]
        found = value_table(data, "/", search, dimension, MOST, named if name == COUNTRIES else str)
        if name != COUNTRIES:
            return found or Instead(messages.too_few(data.k))
        return (*found, SHOWN) if found else (None, "", None, HIDDEN)


def _of_each_module(data: DataSource, search: str) -> tuple[Any, ...] | None:
    """The versions of all modules. An install has one of each of its modules, so they do not add up."""
    chosen = data.chosen(search)
    args = chosen.args(by="module,version", grain="period", count="latest")
    found = known_rows(data.ask("installs", args)["rows"])
    pairs = {" ".join(row["keys"]): row["keys"] for row in found if OTHER not in row["keys"]}
    rows = [{**row, "key": OTHER if OTHER in row["keys"] else " ".join(row["keys"])} for row in found]
    active, shown = data.total(chosen.args()), largest_rows(rows, MOST, apart=False)
    if not active or not shown:
        return None
    cells = [
        (Linked(row["key"], _filtered(search, *pairs[row["key"]]) if row["key"] in pairs else "", refine=True),
         row["value"], Part(row["value"] / active))
        for row in shown
    ]  # fmt: skip
    note = f"Shares are of all {among(chosen.conditions, 'active installs')}; choose a module for those of its own."
    if len(pairs) > MOST:
        note += f" The {MOST} largest of {count(len(pairs))}; the others are not shown."
    if not pairs:
        note += f" {messages.ALL_FOLDED}"
    calls = [api_call("installs", args), api_call("installs", chosen.args(grain="period"))]
    return table("Installs by module and version", ("Module and version", "Installs", "Share"), cells, calls, note)


def _filtered(search: str, module: str, version: str) -> str:
    return link("/", search, {"module": module, "version": version})
