"""What the installs of each series run: its PHP series, as shares of the series' installs."""

from typing import Any

from dash import html

from dashboard import messages
from dashboard.crossing import crossed
from dashboard.data_source import DataSource
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING, table_card, table_outputs

NAME = "versions-php"


def layout() -> html.Section:
    """The card of the heat map."""
    return table_card(NAME, "Version and PHP")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the heat map."""

    @fill(callbacks, page, NAME, table_outputs(NAME), search)
    def what_they_run(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        if not chosen.module:
            return NOTHING
        found = crossed(data, chosen, "version_series", "php_series")
        return found or Instead(messages.too_few(data.k))
