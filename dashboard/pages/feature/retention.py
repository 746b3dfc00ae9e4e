"""Whether the feature keeps its users: of those who first used it in a week, how many used it in later weeks."""

from datetime import date, timedelta
from typing import Any

from dashboard import filters, messages
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import count, day, fewer
from dashboard.pages.feature.chosen import read
from dashboard.regions import Instead
from dashboard.tables import NOTHING, TableCard, heat_map
from dashboard.weekly import after_whole_weeks

WEEKS = 12  # shown
UNSURE = 4  # whole weeks from the beginning of the data on, in which old users look like first users


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    shown = read(data, search)
    if shown is None:
        return NOTHING
    begin = after_whole_weeks(shown.chosen, filters.today()) - timedelta(weeks=UNSURE + WEEKS)
    args = shown.chosen.args(feature=shown.feature, grain="week") | {"from": begin.isoformat()}
    # The rows begin with the first whole week of the data, or with older data before it: then none of them is needed.
    rows_of_weeks = data.question("retention", args)["rows"][UNSURE:]
    least = least_installs(data.k)
    found = [row for row in rows_of_weeks if (row["installs"] or 0) >= least]
    if not found:
        return Instead(messages.no_first_users(UNSURE, least))
    weeks = max(len(row["active"]) for row in found)
    rows = [
        (
            f"{day(date.fromisoformat(row['bucket']))} ({count(row['installs'])})",
            cells(row["active"], row["installs"], weeks),
        )
        for row in found
    ]
    note = (
        "A row for each week: installs that first used the feature in it, and the share of them that used it in "
        f"that week (0) and in each week after. The first {UNSURE} weeks of the data are left out: most of their "
        "installs had used it before. "
    )
    if data.k > 1:
        note += (
            f"So are weeks with fewer than {least} such installs, of which only 100% could be told. Empty: the week is "
            f"not over, {fewer(data.k)} of them used it, or all but so few did: shares close to 0% or 100% are hidden."
        )
    else:
        note += "Empty: the week is not over."
    columns = ("First used in the week of", *map(str, range(weeks)))
    return heat_map("Share of the first users by weeks after", columns, rows, [api_call("retention", args)], note)


def least_installs(k: int) -> int:
    """The fewest first users of a week that is shown: of fewer, no share but 100% could be told."""
    return 2 * k if k > 1 else 1


def cells(active: list[int | None], installs: int, weeks: int) -> list[float | None]:
    """The share of the installs that were active in each of so many weeks; None where it is not known."""
    shares = [None if number is None else number / installs for number in active]
    return shares + [None] * (weeks - len(shares))


CARD = TableCard("feature-retention", "Does it keep its users?", _read)
