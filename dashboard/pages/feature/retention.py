"""Whether the feature keeps its users: of those who first used it in a week, how many used it in later weeks."""

from datetime import date
from typing import Any

from dashboard import messages
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import count, day, fewer
from dashboard.pages.feature.chosen import read
from dashboard.regions import Instead
from dashboard.tables import NOTHING, TableCard, heat_map


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    shown = read(data, search)
    if shown is None:
        return NOTHING
    args = shown.chosen.args(feature=shown.feature, grain="week")
    del args["from"]  # the last twelve weeks, however short the range
    found = [row for row in data.question("retention", args)["rows"] if row["installs"]]
    if not found:
        return Instead(messages.too_few(data.k))
    weeks = max(len(row["active"]) for row in found)
    rows = [
        (
            f"{day(date.fromisoformat(row['bucket']))} ({count(row['installs'])})",
            cells(row["active"], row["installs"], weeks),
        )
        for row in found
    ]
    note = (
        "A row for each week: installs that first used the feature in it, and the share of them that used it in "
        "that week (0) and in each week after. Empty: the week is not over"
    )
    if data.k > 1:
        note += (
            f", {fewer(data.k)} of them used it, or all but so few did. Of a week with few installs mostly 100% is left"
        )
    note += "."
    columns = ("First used in the week of", *map(str, range(weeks)))
    return heat_map("Share of the first users by weeks after", columns, rows, [api_call("retention", args)], note)


def cells(active: list[int | None], installs: int, weeks: int) -> list[float | None]:
    """The share of the installs that were active in each of so many weeks; None where it is not known."""
    shares = [None if number is None else number / installs for number in active]
    return shares + [None] * (weeks - len(shares))


CARD = TableCard("feature-retention", "Does it keep its users?", _read)
