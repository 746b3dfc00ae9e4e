"""The installs hurt by version of the module."""

from typing import Any

from dash import html

from dashboard import messages
from dashboard.data_source import DataSource, api_call
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING, Part, table, table_card, table_outputs

NAME = "drop-versions"
MOST = 20


def layout() -> html.Section:
    """The card of the table."""
    return table_card(NAME, "By version of the module")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the table."""

    @fill(callbacks, page, NAME, table_outputs(NAME), search)
    def versions(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        if not chosen.conditions:
            return NOTHING
        if not chosen.module:
            return Instead(messages.choose_module())
        answer = data.question("drop", chosen.args())
        rows = [(row["version"], row["installs"], row["of"], Part(row["share"])) for row in answer["rows"][:MOST]]
        if not rows:
            return Instead(messages.too_few(data.k))
        columns = ("Version", "Installs hurt", "Of", "Share")
        note = f"The {MOST} versions with the most installs hurt." if len(answer["rows"]) > len(rows) else ""
        return table("Installs hurt by version", columns, rows, [api_call("drop", chosen.args())], note)
