"""What changed most among features, versions and platforms, as a table."""

from typing import Any

from dashboard import messages
from dashboard.changes import strongest_of_each
from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.formatting import days
from dashboard.pages.overview import moves
from dashboard.regions import Instead
from dashboard.tables import Change, Linked, Part, TableCard, table

MOST = 5  # of features, of versions, and of platforms


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    changes = moves.read(data, chosen, search)
    periods = data.compared(chosen)
    if changes is None or periods is None:
        return Instead(messages.nothing_to_compare())
    found = strongest_of_each(changes, MOST)
    if not found:
        return Instead(messages.nothing_changed(data))
    rows = [
        (
            Linked(one.name, one.link),
            one.of,
            Part(None if one.at_most else one.shares[0]),
            Part(one.shares[1]),
            Change(None if one.at_most else one.points),
        )
        for one in sorted(found, key=lambda one: -abs(one.points))
    ]
    note = (
        f"The clearest changes of features, versions and platforms, up to {MOST} of each and none that "
        f"{messages.explained(data)} (5% for all of a kind together), the largest first: "
        f"{days(periods[0].start, periods[0].end)} beside {days(periods[1].start, periods[1].end)}."
    )
    columns = ("What", "Share of", "Before", "Now", "Change")
    return table("What changed most", columns, rows, moves.calls(periods), note)


CARD = TableCard("movers", "What changed most", _read)
