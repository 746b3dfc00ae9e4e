"""The cards of installs by one dimension each, by the latest report of each install."""

from typing import Any

from dash import Output, html

from dashboard import messages
from dashboard.answer_rows import known_rows, largest_rows
from dashboard.conditions import among
from dashboard.countries import named
from dashboard.data_source import DataSource, api_call
from dashboard.links import link
from dashboard.permissions import Callbacks, Page
from dashboard.regions import HIDDEN, SHOWN, Instead, fill, fill_each
from dashboard.tables import Linked, Part, table, table_card, table_outputs
from dashboard.value_table import unlisted, value_table
from warehouse.queries.small_groups import OTHER

MOST = 8
# The dimension of each card, and its title.
CARDS = {
    "version": "Module versions",
    "license_status": "License status",
    "os": "Operating systems",
    "virtualization": "Virtualization",
    "php_series": "PHP versions",
    "whmcs_series": "WHMCS versions",
    "country": "Countries",
}


def _name(dimension: str) -> str:
    return f"installs_by_{dimension}"


def layout() -> html.Div:
    """The cards, empty."""
    cards = [table_card(_name(dimension), title, None, dimension) for dimension, title in CARDS.items()]
    return html.Div(cards, className="charts")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callbacks of the cards. One statement counts all dimensions, except the versions of several modules."""
    versions_card, countries_card = _name("version"), _name("country")
    names = {_name(dimension): dimension for dimension in CARDS if dimension != "version"}
    outputs = {name: table_outputs(name) for name in names}
    outputs[countries_card].append(Output(f"{countries_card}-card", "style"))

    @fill(callbacks, page, versions_card, table_outputs(versions_card), search)
    def versions(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        found = value_table(data, "/", search, "version", MOST) if chosen.module else _of_each_module(data, search)
        return found or Instead(messages.too_few(data.k))

    @fill_each(callbacks, page, outputs, search)
    def installs_by(name: str, search: str) -> Instead | tuple[Any, ...]:
        if name != countries_card:
            return value_table(data, "/", search, names[name], MOST) or Instead(messages.too_few(data.k))
        found = value_table(data, "/", search, "country", MOST, named)
        # Without a country database no install has a country: then there is no card.
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
    links = {key: link("/", search, {"module": module, "version": version}) for key, (module, version) in pairs.items()}
    cells = [
        (Linked(row["key"], links.get(row["key"], ""), refine=True), row["value"], Part(row["value"] / active))
        for row in shown
    ]
    whose = f"Shares are of all {among(chosen.conditions, 'active installs')}; choose a module for those of its own."
    note = " ".join([whose, *unlisted(len(pairs), MOST, apart=False)])
    calls = [api_call("installs", args), api_call("installs", chosen.args(grain="period"))]
    return table("Installs by module and version", ("Module and version", "Installs", "Share"), cells, calls, note)
