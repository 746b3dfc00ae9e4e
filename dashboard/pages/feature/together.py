"""The features that are used together with this one, and whether that is more than chance."""

from typing import Any

from dashboard import filters, messages
from dashboard.data_source import DataSource, api_call
from dashboard.display_names import display_name
from dashboard.filters import Filters
from dashboard.links import link
from dashboard.pages.feature.chosen import read
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Linked, TableCard, table

MOST = 10


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    shown = read(data, search)
    if shown is None:
        return NOTHING
    args = shown.chosen.args(feature=shown.feature)
    catalog, today = data.catalog(), filters.today()
    rows = []
    for row in data.question("together", args)["rows"][:MOST]:
        (other,) = (name for name in row["features"] if name != shown.feature)
        name = display_name(catalog, "feature", other, today)
        linked = Linked(name.title or other, link("/feature", search, {"name": other}))
        times = f"{row['installs'] / row['expected']:.1f} ×" if row["expected"] else "–"
        rows.append((linked, row["installs"], round(row["expected"]), times))
    if not rows:
        return Instead(messages.too_few(data.k))
    columns = ("Feature", "Installs that use both", "By chance", "Times chance")
    note = "By chance: as many as would use both if neither feature said anything about the other. "
    note += "1.0 × is chance; more means that the two go together."
    return table("Used together", columns, rows, [api_call("together", args)], note)


CARD = TableCard("feature-together", "Used together with", _read)
