"""The table of the values of a dimension: the installs of each, and their share. A value filters by itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dashboard.answer_rows import Row, largest_rows
from dashboard.data_source import api_call
from dashboard.display_names import DIMENSIONS
from dashboard.formatting import coverage
from dashboard.links import filter_link
from dashboard.tables import Cell, Linked, Part, table
from warehouse.queries.small_groups import OTHER


def value_table(
    path: str,
    search: str,
    args: Mapping[str, str],
    found: Sequence[Row],
    active: int,
    most: int,
    name: Callable[[str], str] = str,
) -> tuple[Any, ...]:
    """The `most` largest values, as the outputs of a card take them.

    `found` are the rows of `installs` for `args` that have a value, of so many `active` installs. `path` and `search`
    are the address of the page.
    """
    shown, by = largest_rows(found, most), args["by"]
    total = sum(row["value"] for row in shown)
    note = coverage(min(total, active), active)
    named = sum(row["key"] != OTHER for row in found)
    if named > most:
        note += f" The {most} largest of {named}; the others are in {OTHER}."
    title = DIMENSIONS[by]
    rows = value_rows(path, search, by, shown, total, name)
    return table(f"Installs by {title}", (title, "Installs", "Share"), rows, [api_call("installs", args)], note)


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
