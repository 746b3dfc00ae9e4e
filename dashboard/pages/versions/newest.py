"""The newest releases of the module of an address, for the cards that show them."""

from dashboard import messages
from dashboard import releases as of_module
from dashboard.data_source import DataSource
from dashboard.filters import Filters, unfiltered
from dashboard.regions import Instead
from dashboard.releases import Release
from dashboard.tables import NOTHING


def newest(data: DataSource, search: str) -> Instead | tuple[Filters, list[Release]]:
    """The filters and at least one release of the module, whatever the other filters; or what a card shows instead.

    Raises `QueryError` and `EngineError`.
    """
    chosen = data.chosen(search)
    if not chosen.module:
        return NOTHING
    found = of_module.newest(data, unfiltered(chosen))
    return (chosen, found) if found else Instead(messages.too_few(data.k))
