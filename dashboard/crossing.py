"""Two dimensions crossed as a heat map: for each value of one, the shares of the values of the other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.answer_rows import Row, known_rows
from dashboard.conditions import among, of_any_module
from dashboard.data_source import DataSource, api_call
from dashboard.display_names import DIMENSIONS
from dashboard.filters import Filters
from dashboard.formatting import count, fewer
from dashboard.links import link
from dashboard.tables import heat_map
from warehouse.queries import dimensions
from warehouse.queries.questions import hiding
from warehouse.queries.small_groups import OTHER

MOST_ROWS, MOST_COLUMNS = 14, 10


def crossed(data: DataSource, chosen: Filters, by: str, other: str, path: str, search: str) -> tuple[Any, ...] | None:
    """The heat map of the installs by their latest report, as its card takes it; None if there is nothing to show.

    Its cells are links on the page `path`, which filter by both values.
    """
    args = chosen.args(by=f"{by},{other}", grain="period", count="latest")
    cells, rest = read(data.ask("installs", args)["rows"])
    if not cells:
        return None
    alone = chosen.args(by=by, grain="period", count="latest")
    of_rows = {row["key"]: row["value"] for row in known_rows(data.ask("installs", alone)["rows"])}
    downwards = _ordered(by, [one for one, _ in cells], cells, 0)[:MOST_ROWS]
    across = _ordered(other, [two for _, two in cells], cells, 1)[:MOST_COLUMNS]
    told: Counter[str] = Counter()
    for (one, _), number in cells.items():
        told[one] += number
    untold = unnumbered(told, of_rows, data.k)
    rows = []
    for one in downwards:
        total = told[one] if one in untold else max(told[one], of_rows.get(one, 0))
        parts = [cells[one, two] / total if (one, two) in cells else None for two in across]
        rows.append((one if one in untold else f"{one} ({count(total)})", parts))
    few = f"{fewer(data.k)} installs, or none" if data.k > 1 else "none"
    of = among(chosen.conditions)
    counted = "by their latest report" if chosen.counts_once else "by all that they reported"
    note = f"Shares of all {of} of each row, {counted}. Empty: {few}."
    note += f" {count(rest)} installs are in groups too small to show." if rest else ""
    if untold.intersection(downwards):
        note += " A row has no number where too few installs are outside its cells: its shares are of those inside."
    if of_any := of_any_module(chosen.module, by, other):
        note += f" {of_any}"
    columns = (DIMENSIONS[by], *across)
    links = [[link(path, search, {by: one, other: two}) for two in across] for one in downwards]
    caption = f"{DIMENSIONS[by]} by {DIMENSIONS[other]}"
    return heat_map(caption, columns, rows, [api_call("installs", each) for each in (args, alone)], note, links)


def unnumbered(told: Mapping[str, int], of_rows: Mapping[str, int], k: int) -> set[str]:
    """The rows whose number would disclose, beside the sum of their cells, how few installs are outside. Pure."""
    outside = {one: of_rows[one] - inside for one, inside in told.items() if of_rows.get(one, 0) > inside}
    return hiding.hidden(outside, [tuple(outside)], k)


def read(rows: Sequence[Row]) -> tuple[dict[tuple[str, str], int], int]:
    """The installs by both keys, and those that are folded."""
    cells: dict[tuple[str, str], int] = {}
    rest = 0
    for row in rows:
        if row["value"] is None:
            continue
        one, two = row["keys"] if row["keys"] else (OTHER, OTHER)
        if OTHER in (one, two):
            rest += row["value"]
        else:
            cells[one, two] = row["value"]
    return cells, rest


def _ordered(dimension: str, values: Sequence[str], cells: dict[tuple[str, str], int], place: int) -> list[str]:
    """Versions newest first, other values the largest first."""
    unique = sorted(set(values))
    if dimension in dimensions.COMPARED:
        return sorted(unique, key=lambda value: dimensions.order(dimension, value), reverse=True)
    size: dict[str, Any] = dict.fromkeys(unique, 0)
    for keys, number in cells.items():
        size[keys[place]] += number
    return sorted(unique, key=lambda value: -size[value])
