"""Bar charts: installs by one dimension."""

from collections.abc import Sequence
from typing import Any

from dashboard.charts.style import ACCENT, GREY, LAYOUT, Figure
from dashboard.formatting import count, plural, share
from warehouse.queries.small_groups import OTHER

MOST_BARS = 8
LONGEST_LABEL = 22
BAR_HEIGHT = 27
# Room for all bars and `(other)`: the height never changes, so that nothing moves while a page loads.
HEIGHT = BAR_HEIGHT * (MOST_BARS + 1) + 8

Row = dict[str, Any]  # a row of the read API: bucket, key, value (None: fewer than k)


def installs_by(shown: Sequence[Row], total: int, *dimensions: str) -> Figure:
    """A bar for each row, `(other)` grey, with its share of `total`. A click filters by its dimensions."""
    keys = [str(row["key"]) for row in shown]
    values = [int(row["value"]) for row in shown]
    parts = [row.get("keys", [row["key"]]) for row in shown]
    labels = [f" {share(value / total)} <span style='opacity:.65'>  {count(value)}</span>" for value in values]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": [_short(key) for key in keys],
        "text": labels,
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": [GREY if key == OTHER else ACCENT for key in keys], "cornerradius": 3},
        "customdata": parts,
        "hovertext": [f"<b>{key}</b><br>{plural(value, 'install')}, {share(value / total)}"
                      for key, value in zip(keys, values, strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "width": 0.62,
    }  # fmt: skip
    layout = {
        **LAYOUT,
        "height": HEIGHT,
        "margin": {"l": 4, "r": 4, "t": 4, "b": 4},
        "meta": {"filter": list(dimensions)},
        # The label of the longest bar needs room at the right.
        "xaxis": {"visible": False, "range": [0, max(values, default=1) * 1.75], "fixedrange": True},
        "yaxis": {
            "range": [MOST_BARS + 0.5, -0.5], "fixedrange": True, "automargin": True, "ticks": "", "showgrid": False,
            "type": "category", "ticklabelstandoff": 8, "zeroline": False, "showline": False,
        },
    }  # fmt: skip
    return {"data": [trace], "layout": layout}


def known_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a value; a row without one stands for fewer than k installs, or for none."""
    return [row for row in rows if row["value"] is not None]


def largest_rows(rows: Sequence[Row], most: int, *, apart: bool = True) -> list[Row]:
    """The `most` largest of the rows that have a value, then `(other)` with all others.

    Rows that share installs (`apart` is false) cannot be added up: then the others are left out, and `(other)` is that
    of the answer.
    """
    known = [row for row in known_rows(rows) if row["key"]]
    named = sorted((row for row in known if row["key"] != OTHER), key=lambda row: (-row["value"], row["key"]))
    rest = [*(named[most:] if apart else []), *(row for row in known if row["key"] == OTHER)]
    return named[:most] + ([{"key": OTHER, "value": sum(row["value"] for row in rest)}] if rest else [])


def _short(key: str) -> str:
    return key if len(key) <= LONGEST_LABEL else f"{key[: LONGEST_LABEL - 1]}…"
