"""The upgrade paths: from which version to which, how many installs, and after how many days."""

from typing import Any

from dash import html

from dashboard import messages
from dashboard.data_source import DataSource, api_call
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING, Cell, Change, table, table_card, table_outputs

NAME = "versions-upgrades"
MOST = 15


def layout() -> html.Section:
    """The card of the table."""
    return table_card(NAME, "Upgrade paths")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the table."""

    @fill(callbacks, page, NAME, table_outputs(NAME), search)
    def upgrades(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
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
        columns = ("From → to", "Installs", "Days on the version before")
        return table("Upgrade paths", columns, rows, [api_call("upgrades", chosen.args())], note)
