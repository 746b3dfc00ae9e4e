"""The installs of each module by day, beside the most of any day: a module that fell silent is seen at once."""

from datetime import date, timedelta
from typing import Any

from dashboard import filters, messages
from dashboard.answer_rows import known_rows
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import fewer
from dashboard.regions import Instead
from dashboard.tables import TableCard, heat_map
from warehouse.queries.small_groups import OTHER

DAYS = 14
MOST = 20  # modules


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    end, today = chosen.end, filters.today()
    start = end - timedelta(days=DAYS - 1)
    span = {"from": start.isoformat(), "to": end.isoformat(), "grain": "day"}
    args = chosen.args(by="module") | span
    installs: dict[str, dict[str, int]] = {}
    for row in known_rows(data.ask("installs", args)["rows"]):
        if row["key"] != OTHER:
            installs.setdefault(row["key"], {})[row["bucket"]] = row["value"]
    if not installs:
        return Instead(messages.too_few(data.k))
    columns = [start + timedelta(days=number) for number in range(DAYS)]
    largest = sorted(installs, key=lambda module: (-max(installs[module].values()), module))[:MOST]
    rows = [(module, parts(installs[module], columns)) for module in largest]
    few = f", or of {fewer(data.k)} installs" if data.k > 1 else ""
    note = (
        f"The {DAYS} days up to the end of the range, whatever its length. Installs that reported on the day, as a "
        f"share of the module's busiest day here. Empty: no beacons of the module{few}."
    )
    if today in columns:
        note += " Today is not over."
    heads = ("Module", *("today" if one == today else f"{one.day} {one:%b}" for one in columns))
    return heat_map("Reports by module and day", heads, rows, [api_call("installs", args)], note)


def parts(installs: dict[str, int], columns: list[date]) -> list[float | None]:
    """The installs of each day as a share of the most of any; None without a figure."""
    most = max(installs.values())
    found = [installs.get(one.isoformat()) for one in columns]
    return [None if number is None else number / most for number in found]


CARD = TableCard("data-days", "Reports by module and day", _read)
