"""The features that the installs hurt use more than the others."""

from typing import Any

from dashboard import filters, messages
from dashboard.data_source import DataSource, api_call
from dashboard.display_names import display_name
from dashboard.filters import Filters
from dashboard.links import link
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Change, Linked, Part, TableCard, table

MOST = 12


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.conditions:
        return NOTHING
    if not chosen.module:
        return Instead(messages.choose_module())
    catalog, today = data.catalog(), filters.today()
    rows = []
    for row in data.question("drop", chosen.args())["features"][:MOST]:
        name = display_name(catalog, "feature", row["feature"], today)
        linked = Linked(name.title or name.name, link("/feature", search, {"name": row["feature"]}))
        others = row["share_of_others"]
        more = None if row["share"] is None or others is None else row["share"] - others
        rows.append((linked, Part(row["share"]), Part(others), Change(more)))
    if not rows:
        return Instead(messages.no_difference(data.k))
    columns = ("Feature", "Share of the hurt", "Share of the others", "Difference")
    note = "Shares of the installs that used it in the range."
    return table("Features of the installs hurt", columns, rows, [api_call("drop", chosen.args())], note)


CARD = TableCard("drop-features", "Features that they use more than others", _read)
