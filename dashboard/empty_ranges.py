"""Why a range has no figures: the message that says so."""

from typing import Any

from dashboard import messages
from dashboard.data_source import DataSource
from dashboard.filters import Filters


def why_empty(data: DataSource, chosen: Filters) -> Any:
    """The message for a range without a total. Raises `QueryError` and `EngineError`.

    It never tells whether a group is empty or has fewer than k installs.
    """
    received = data.received(chosen)
    if received.first is None:
        return messages.no_beacons_yet()
    if chosen.module and chosen.module not in data.modules():
        return messages.unknown_module(chosen.module, data.k)
    return messages.too_few(data.k) if received.days and data.k > 1 else messages.none_in_range()
