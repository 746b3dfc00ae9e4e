"""How soon installs first use the feature after they are installed."""

from datetime import date
from typing import Any

from dashboard import messages
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import count, days, fewer
from dashboard.pages.feature.chosen import read
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Part, TableCard, table
from warehouse.queries.questions.first_use import WITHIN

NAMES = {0: "On the first day", 1: "Within 1 day"}


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    shown = read(data, search)
    if shown is None:
        return NOTHING
    args = shown.chosen.args(feature=shown.feature, grain="week")
    del args["from"]  # twelve weeks, however short the range
    answer = data.question("first_use", args)
    if not answer["rows"] or answer["rows"][0]["of"] in (None, 0):
        return Instead(messages.too_young(WITHIN[-1], data.k))
    rows = [
        (NAMES.get(row["within"], f"Within {row['within']} days"), row["installs"], Part(row["share"]))
        for row in answer["rows"]
    ]
    span = days(date.fromisoformat(answer["from"]), date.fromisoformat(answer["to"]))
    matched = " that matched the filters on some day," if shown.chosen.conditions else ""
    note = (
        f"Of the {count(answer['rows'][0]['of'])} installs{matched} first seen {span}. Younger ones have not had "
        f"{WITHIN[-1]} days yet and are left out."
    )
    if any(row["installs"] is None for row in answer["rows"]):
        note += (
            f" Not told: it, or its difference from another row or from all, would tell a group of {fewer(data.k)} "
            "installs."
        )
    columns = ("After the first report", "Installs that used it", "Share")
    return table("First use after install", columns, rows, [api_call("first_use", args)], note)


CARD = TableCard("feature-first_use", "First use after install", _read, "first_use")
