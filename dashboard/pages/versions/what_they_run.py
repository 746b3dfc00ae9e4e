"""What the installs of each series run: its PHP series, as shares of the series' installs."""

from typing import Any

from dashboard import messages
from dashboard.crossing import crossed
from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.regions import Instead
from dashboard.tables import NOTHING, TableCard


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.module:
        return NOTHING
    found = crossed(data, chosen, "version_series", "php_series", "/versions", search)
    return found or Instead(messages.too_few(data.k))


CARD = TableCard("versions-php", "Version and PHP", _read)
