"""The map of installs by country: a color for each country, by its number of installs. The browser draws it."""

from collections.abc import Sequence
from typing import Any

from dashboard.answer_rows import Row
from dashboard.countries import countries
from dashboard.formatting import count, plural, share
from warehouse.queries.small_groups import OTHER

MOST_STEPS = 5


def country_map(rows: Sequence[Row], total: int, k: int) -> dict[str, Any]:
    """The countries of the map, each with its step of color and its text, and what the steps stand for.

    Groups that are folded are not on the map. Shares are of `total`.
    """
    known = {row["key"]: int(row["value"]) for row in rows if row["key"] != OTHER}
    edges = lowest_of_steps(list(known.values()))
    return {
        "none": "none, or too few to show" if k > 1 else "none",
        "steps": _ranges(edges, max(known.values(), default=0)),
        "countries": {
            code: [
                sum(value >= edge for edge in edges),
                f"{countries()[code].name}: {plural(value, 'install')}, {share(value / total)}",
            ]
            for code, value in known.items()
            if code in countries()
        },
    }


def lowest_of_steps(values: Sequence[int]) -> list[int]:
    """The lowest number of each step of color: the least of all, then some of 1, 2, 5, 10, 20, 50, …

    A few countries have most of the installs, so the steps grow.
    """
    if not values:
        return []
    least, most = min(values), max(values)
    round_ones = [digit * 10**power for power in range(len(str(most))) for digit in (1, 2, 5)]
    edges = [edge for edge in round_ones if least < edge <= most]
    wanted = MOST_STEPS - 1
    if len(edges) > wanted:
        edges = [edges[number * (len(edges) - 1) // (wanted - 1)] for number in range(wanted)]
    return [least, *edges]


def _ranges(edges: Sequence[int], most: int) -> list[str]:
    """`5 – 9`, `10 – 49`, `50 – 812`."""
    highest = [*(edge - 1 for edge in edges[1:]), most]
    return [
        count(low) if low == high else f"{count(low)} – {count(high)}"
        for low, high in zip(edges, highest, strict=False)
    ]
