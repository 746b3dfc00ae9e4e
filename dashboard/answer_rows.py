"""The rows of the read API as cards show them: those that have a value, the largest first, sums last. Pure."""

from collections.abc import Sequence
from typing import Any

from warehouse.queries.small_groups import OTHER

# All that a card does not list because it is not among the largest. It has what is in `(other)`, too.
REST = "(rest)"
# Names of no value: nothing is filtered by them.
SUMS = (OTHER, REST)

Row = dict[str, Any]  # a row of the read API: bucket, key, value (None: fewer than k)


def known_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a value; a row without one stands for fewer than k installs, or for none."""
    return [row for row in rows if row["value"] is not None]


def largest_rows(rows: Sequence[Row], most: int, *, apart: bool = True) -> list[Row]:
    """The `most` largest of the rows that have a value, then `(rest)` with all others, or `(other)` if it is all.

    Rows that share installs (`apart` is false) cannot be added up: then the others are left out, and `(other)` is that
    of the answer.
    """
    known = [row for row in known_rows(rows) if row["key"]]
    named = sorted((row for row in known if row["key"] != OTHER), key=lambda row: (-row["value"], row["key"]))
    rest = [*(named[most:] if apart else []), *(row for row in known if row["key"] == OTHER)]
    name = REST if apart and len(named) > most else OTHER
    return named[:most] + ([{"key": name, "value": sum(row["value"] for row in rest)}] if rest else [])
