"""The table of the values of a dimension: the installs of each, and their share. A value filters by itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dashboard.answer_rows import Row, largest_rows
from dashboard.charts.palette import REST
from dashboard.conditions import coverage, of_all, of_any_module
from dashboard.data_source import api_call
from dashboard.display_names import DIMENSIONS
from dashboard.filters import Filters
from dashboard.links import filter_link
from dashboard.messages import ALL_FOLDED
from dashboard.tables import Cell, Linked, Part, table
from warehouse.queries.small_groups import OTHER


def value_table(
    path: str,
    search: str,
    chosen: Filters,
    args: Mapping[str, str],
    found: Sequence[Row],
    active: int,
    most: int,
    name: Callable[[str], str] = str,
) -> tuple[Any, ...]:
    """The `most` largest values, as the outputs of a card take them.

    `found` are the rows of `installs` for `args` that have a value, of so many `active` installs. `path` and `search`
    are the address of the page, and `chosen` its filters.
    """
    apart = chosen.counts_once
    shown, by = largest_rows(found, most, apart=apart), args["by"]
    named = sum(row["key"] != OTHER for row in found)
    total, calls, notes = whole(chosen, args, shown, active)
    if named > most:
        notes.append(f"The {most} largest of {named}; the others are {f'in {REST}' if apart else 'not shown'}.")
    if not named:
        notes.append(ALL_FOLDED)
    title = DIMENSIONS[by]
    rows = value_rows(path, search, by, shown, total, name)
    return table(f"Installs by {title}", (title, "Installs", "Share"), rows, calls, " ".join(notes))


def whole(
    chosen: Filters, args: Mapping[str, str], rows: Sequence[Row], active: int
) -> tuple[int, list[str], list[str]]:
    """What the rows of a dimension are shares of, the calls of the read API, and what is said about both."""
    calls, of_any = [api_call("installs", args)], of_any_module(chosen.module, args["by"])
    if not chosen.counts_once:
        return active, [*calls, api_call("installs", chosen.args(grain="period"))], [of_all(active, chosen.conditions)]
    total = sum(row["value"] for row in rows)
    notes = [coverage(min(total, active), active, chosen.conditions), *([of_any] if of_any else [])]
    return total, calls, notes


def value_rows(
    path: str, search: str, by: str, rows: Sequence[Row], total: int, name: Callable[[str], str] = str
) -> list[tuple[Cell, ...]]:
    """Each value of a dimension, which filters by itself, its installs, and its share of `total`."""
    return [
        (
            Linked(name(row["key"]), filter_link(path, search, by, row["key"]), refine=True),
            row["value"],
            Part(row["value"] / total),
        )
        for row in rows
    ]
