"""What the collectors rejected, by reason and field: what the developers of modules have to mend."""

from typing import Any

from dashboard import filters, messages
from dashboard.data_source import DataSource
from dashboard.filters import RANGES, Filters
from dashboard.formatting import day
from dashboard.regions import Instead
from dashboard.tables import TableCard, table

NOTE = (
    "Beacons, and requests that could not be read, of all modules, by day of receipt (UTC){today}. None of them is "
    "stored, so no figure counts them, and one that is sent twice is here twice. The sender was told the reason and "
    "the field. Names of unknown fields are not kept here: POST /v1/beacons/check tells them of a beacon. A collector "
    "that is killed loses the counts of its last two seconds."
)


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    relative = chosen.range in RANGES  # then today counts: whoever mends a module looks at what just happened
    found = data.rejections(chosen.start, filters.today() if relative else chosen.end)
    if not found:
        return Instead(messages.nothing_rejected())
    rows = [(each.reason, each.field or "–", each.times, day(each.first), day(each.last)) for each in found]
    note = NOTE.format(today=", with today" if relative else "")
    return table("Rejected by reason and field", ("Reason", "Field", "Rejected", "First", "Last"), rows, [], note)


CARD = TableCard("data-rejected", "Rejected beacons", _read)
