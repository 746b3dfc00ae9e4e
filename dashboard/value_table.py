"""The table of the values of a dimension: the installs of each, and their share. A value filters by itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dashboard.answer_rows import REST, Row, known_rows, largest_rows
from dashboard.conditions import coverage, of_all, of_any_module
from dashboard.data_source import EVERY_DIMENSION, DataSource, api_call
from dashboard.display_names import DIMENSIONS
from dashboard.filters import Filters
from dashboard.formatting import count
from dashboard.links import filter_link
from dashboard.messages import ALL_FOLDED
from dashboard.tables import Cell, Linked, Part, table
from warehouse.queries.small_groups import OTHER


def value_table(
    data: DataSource, path: str, search: str, by: str, most: int, name: Callable[[str], str] = str
) -> tuple[Any, ...] | None:
    """The `most` largest values, as the outputs of a card take them, or None when there is nothing to show.

    `path` and `search` are the address of the page. Raises `QueryError` and `EngineError`.
    """
    chosen = data.chosen(search)
    args = chosen.args(by=by, grain="period", count="latest")
    found = [row for row in known_rows(data.ask("installs", args, side_by_side=EVERY_DIMENSION)["rows"]) if row["key"]]
    active = data.total(chosen.args())
    if not active or not found:
        return None
    apart = chosen.counts_once
    shown = largest_rows(found, most, apart=apart)
    named = sum(row["key"] != OTHER for row in found)
    total, calls, notes = whole(chosen, args, shown, active, rounded=data.rounded)
    notes += unlisted(named, most, apart=apart)
    title = DIMENSIONS[by]
    rows = value_rows(path, search, by, shown, total, name)
    return table(f"Installs by {title}", (title, "Installs", "Share"), rows, calls, " ".join(notes))


def unlisted(named: int, most: int, *, apart: bool) -> list[str]:
    """What is said where so many values have a name, and `most` are listed. `apart`: they can be added up."""
    if not named:
        return [ALL_FOLDED]
    others = f"in {REST}" if apart else "not shown"
    return [f"The {most} largest of {count(named)}; the others are {others}."] if named > most else []


def whole(
    chosen: Filters, args: Mapping[str, str], rows: Sequence[Row], active: int, *, rounded: bool
) -> tuple[int, list[str], list[str]]:
    """What the rows of a dimension are shares of, the calls of the read API, and what is said about both."""
    calls, of_any = [api_call("installs", args)], of_any_module(chosen.module, args["by"])
    if not chosen.counts_once:
        return active, [*calls, api_call("installs", chosen.args(grain="period"))], [of_all(active, chosen.conditions)]
    total = sum(row["value"] for row in rows)
    notes = [coverage(min(total, active), active, chosen.conditions, rounded=rounded), *([of_any] if of_any else [])]
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
