"""How many of the active installs report each field: what is missing in the figures."""

from typing import Any

from dash import html

from dashboard.charts.bars import known_rows
from dashboard.data_source import DataSource, api_call
from dashboard.display_names import DIMENSIONS
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING, Part, table, table_card, table_outputs

NAME = "data-reported"
FIELDS = (
    "version",
    "license_status",
    "php",
    "whmcs",
    "database",
    "web_server",
    "os",
    "arch",
    "virtualization",
    "country",
)


def layout() -> html.Section:
    """The card of the table."""
    return table_card(NAME, "What installs report", None, "coverage")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the table."""

    @fill(callbacks, page, NAME, table_outputs(NAME), search)
    def reported(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        active = data.total(chosen.args())
        if not active:
            return NOTHING
        rows, calls = [], []
        for field in FIELDS:
            args = chosen.args(by=field, grain="period", count="latest")
            calls.append(api_call("installs", args))
            known = [row["value"] for row in known_rows(data.ask("installs", args)["rows"]) if row["key"]]
            number = min(sum(known), active) if known else None
            rows.append((DIMENSIONS[field], number, Part(None if number is None else number / active)))
        note = "By the latest report of each install in the range. Too few: none reports it, or too few to show."
        return table("Installs that report each field", ("Field", "Installs", "Share of active"), rows, calls, note)
