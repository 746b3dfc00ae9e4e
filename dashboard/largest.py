"""Bounded answers: the largest rows of each bucket, and how many rows are left out."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from warehouse.queries.metrics import QueryError
from warehouse.queries.small_groups import OTHER

MOST_ROWS = 200
MOST_LIMIT = 10_000


def largest(answer: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """The answer of a metric with the `limit` largest rows of each bucket, `(other)` beside them.

    `more` is the number of rows that are left out. The rows of an answer are ordered by bucket, then value.
    """
    rows, kept = [], Counter[str]()
    for row in answer["rows"]:
        other = OTHER in (row["keys"] if "keys" in row else (row["key"],))
        kept[row["bucket"]] += not other
        if other or kept[row["bucket"]] <= limit:
            rows.append(row)
    return {**answer, "rows": rows, "more": len(answer["rows"]) - len(rows)}


def parse_limit(text: str) -> int | None:
    """The value of the parameter `limit`; None when it is not given. Raises `QueryError`."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= MOST_LIMIT):
        raise QueryError("out_of_range", "limit", f"must be a whole number from 1 to {MOST_LIMIT}")
    return int(text)
