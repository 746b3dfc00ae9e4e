"""The upgrade paths: from which version to which, how many installs, and after how many days."""

from typing import Any

from dashboard import messages
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Cell, Change, TableCard, table

MOST = 15


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.module:
        return NOTHING
    answer = data.question("upgrades", chosen.args())
    rows: list[tuple[Cell, ...]] = [
        (f"{row['from']} → {row['to']}", row["installs"], row["median_days"] or Change(None))
        for row in answer["rows"][:MOST]
    ]
    if not rows:
        return Instead(messages.no_upgrades(data.k))
    note = "Upgrades in the range. Days: the median of the days on the version before."
    if chosen.conditions:
        note += " Of installs that matched the filters on some day of the range, also before or after the upgrade."
    columns = ("From → to", "Installs", "Days on the version before")
    return table("Upgrade paths", columns, rows, [api_call("upgrades", chosen.args())], note)


CARD = TableCard("versions-upgrades", "Upgrade paths", _read)
