"""The features that the installs hurt use more than the others."""

from typing import Any

from dashboard import filters, messages
from dashboard.data_source import DataSource, api_call
from dashboard.display_names import display_name
from dashboard.filters import Filters
from dashboard.formatting import fewer
from dashboard.links import link
from dashboard.regions import Instead
from dashboard.significance import CLEAR, Z95, chance_note, least_distance
from dashboard.tables import NOTHING, Change, Linked, Part, TableCard, table
from warehouse.queries.dimensions import is_condition

MOST = 12


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.conditions:
        return NOTHING
    if not chosen.module:
        return Instead(messages.choose_module())
    answer = data.question("drop", chosen.args())
    if answer["installs"] is None:
        return Instead(messages.not_told(data.k, condition=any(map(is_condition, chosen.conditions))))
    catalog, today = data.catalog(), filters.today()
    rounding = data.question_rounding
    found = [(row, is_clear(row, answer, data.k, rounding)) for row in answer["features"][:MOST]]
    found.sort(key=lambda one: not one[1])
    rows = []
    for row, clear in found:
        name = display_name(catalog, "feature", row["feature"], today)
        linked = Linked(name.title or name.name, link("/feature", search, {"name": row["feature"]}))
        others = row["share_of_others"]
        more = None if row["share"] is None or others is None else row["share"] - others
        rows.append((linked, Part(row["share"]), Part(others), Change(more), CLEAR[clear]))
    if not rows:
        return Instead(messages.no_difference(data.k))
    columns = ("Feature", "Of the hurt", "Of the others", "Difference", "Clear")
    note = f"Shares of the installs hurt, and of the others, that used it in the range. {chance_note(rounding)}"
    if any(row["share_of_others"] is None for row, _ in found):
        note += f" Not told: none of the others, or {fewer(data.k)}, used it, or all but so few."
    calls = [api_call("drop", chosen.args())]
    return table("Features of the installs hurt", columns, rows, calls, note, clear=sum(clear for _, clear in found))


def is_clear(row: dict[str, Any], answer: dict[str, Any], k: int, rounding: int = 0) -> bool:
    """Whether chance would seldom make the share of the installs hurt so much higher than that of the others.

    Where the share of the others is not told, it is taken for the highest that it can be. Each number is rounded down
    by up to `rounding`: the others, as a difference of two, are then k fewer at the least.
    """
    hurt, others = answer["installs"], answer["of"] - answer["installs"] - (k if rounding else 0)
    share = row["share_of_others"]
    used = round(others * share) if share is not None else k - 1 - rounding  # they are not rounded: fewer than k
    if share is None and row["share"] * others > others - k:  # all of the others but a few may use it, too
        return False
    higher = row["installs"] * others > used * hurt
    return higher and least_distance(row["installs"], hurt, used, others, rounding) > Z95


CARD = TableCard("drop-features", "Features that they use more than others", _read)
