"""The features that are used together with this one, and whether that is more than chance."""

from typing import Any

from dashboard import filters, messages
from dashboard.data_source import DataSource, api_call
from dashboard.display_names import display_name
from dashboard.filters import Filters
from dashboard.formatting import fewer, plural
from dashboard.links import link
from dashboard.pages.feature.chosen import read, used_by
from dashboard.regions import Instead
from dashboard.significance import CLEAR, Z95, chance_note, least_together
from dashboard.tables import NOTHING, Linked, TableCard, table

MOST = 10


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    shown = read(data, search)
    if shown is None:
        return NOTHING
    args = shown.chosen.args(feature=shown.feature)
    catalog, today = data.catalog(), filters.today()
    answer, users = data.question("together", args), used_by(data, shown)
    rounding = data.question_rounding
    found = [(row, is_clear(row, users, answer["of"], rounding)) for row in answer["rows"][:MOST]]
    found.sort(key=lambda one: not one[1])
    rows = []
    for row, clear in found:
        (other,) = (name for name in row["features"] if name != shown.feature)
        name = display_name(catalog, "feature", other, today)
        linked = Linked(name.title or other, link("/feature", search, {"name": other}))
        times = f"{row['installs'] / row['expected']:.1f} ×" if row["expected"] else "–"
        rows.append((linked, row["installs"], round(row["expected"]), times, CLEAR[clear]))
    if not rows:
        return Instead(messages.too_few(data.k))
    columns = ("Feature", "Installs that use both", "By chance", "Times chance", "Clear")
    note = (
        "By chance: as many as would use both if neither feature said anything about the other. 1.0 × is chance; more "
        f"means that the two go together, less that they do not. {chance_note(rounding)}"
    )
    if answer["suppressed"]:
        note += (
            f" Not listed: {plural(answer['suppressed'], 'pair')} that would tell a group of {fewer(data.k)} installs."
        )
    calls = [api_call("together", args)]
    return table("Used together", columns, rows, calls, note, clear=sum(clear for _, clear in found))


def is_clear(row: dict[str, Any], users: int | None, of: int | None, rounding: int = 0) -> bool:
    """Whether chance, and the rounding of each number, would seldom make so many, or so few, installs use both."""
    return least_together(row["installs"], row["expected"], users or 0, of or 0, rounding) > Z95


CARD = TableCard("feature-together", "Used together with", _read)
