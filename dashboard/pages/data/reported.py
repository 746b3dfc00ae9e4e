"""How many of the active installs report each field: what is missing in the figures."""

from typing import Any

from dashboard.answer_rows import known_rows
from dashboard.data_source import EVERY_DIMENSION, DataSource, api_call
from dashboard.display_names import DIMENSIONS
from dashboard.filters import Filters
from dashboard.formatting import fewer
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Part, TableCard, table

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


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    active = data.total(chosen.args())
    if not active:
        return NOTHING
    rows, calls = [], []
    for field in FIELDS:
        args = chosen.args(by=field, grain="period", count="latest")
        calls.append(api_call("installs", args))
        groups = known_rows(data.ask("installs", args, side_by_side=EVERY_DIMENSION)["rows"])
        known = [row["value"] for row in groups if row["key"]]
        number = min(sum(known), active) if known or data.k == 1 else None
        rows.append((DIMENSIONS[field], number, Part(None if number is None else number / active)))
    few = f" Not told: none reports it, or {fewer(data.k)}." if data.k > 1 else ""
    least = " The numbers are sums of groups that are rounded down: at least so many." if data.rounded else ""
    note = f"By the latest report of each install in the range.{few}{least}"
    return table("Installs that report each field", ("Field", "Installs", "Share of active"), rows, calls, note)


CARD = TableCard("data-reported", "What installs report", _read, "coverage")
