"""Bar charts: installs by one dimension."""

from collections.abc import Sequence
from typing import Any

from dashboard.charts.style import ACCENT, GREY, LAYOUT, Figure
from dashboard.formatting import count, share
from warehouse.queries.small_groups import OTHER

MOST_BARS = 8
LONGEST_LABEL = 22
BAR_HEIGHT = 27
# Room for all bars and `(other)`: the height never changes, so that nothing moves while a page loads.
HEIGHT = BAR_HEIGHT * (MOST_BARS + 1) + 8

Row = dict[str, Any]  # a row of the read API: bucket, key, value (None: fewer than k)


def installs_by(rows: Sequence[Row], total: int, dimension: str = "") -> Figure:
    """Installs by one dimension: largest first, `(other)` last and grey, each with its share of the active installs.

    A click on a bar filters by its value, if the dimension is known.
    """
    shown = shown_rows(rows)
    keys = [str(row["key"]) for row in shown]
    values = [int(row["value"]) for row in shown]
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
        "customdata": [[key, count(value), share(value / total)] for key, value in zip(keys, values, strict=True)],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]} installs, %{customdata[2]}<extra></extra>",
        "width": 0.62,
    }
    layout = {
        **LAYOUT,
        "height": HEIGHT,
        "margin": {"l": 4, "r": 4, "t": 4, "b": 4},
        "meta": {"filter": [dimension] if dimension else []},
        # The label of the longest bar needs room at the right.
        "xaxis": {"visible": False, "range": [0, max(values, default=1) * 1.55], "fixedrange": True},
        "yaxis": {
            "range": [MOST_BARS + 0.5, -0.5], "fixedrange": True, "automargin": True, "ticks": "", "showgrid": False,
            "type": "category", "ticklabelstandoff": 8, "zeroline": False, "showline": False,
        },
    }  # fmt: skip
    return {"data": [trace], "layout": layout}


def known_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a value; a row without one stands for fewer than k installs, or for none."""
    return [row for row in rows if row["value"] is not None]


def shown_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that a bar chart shows: the largest with a value, then `(other)`."""
    known = known_rows(rows)
    largest = sorted((row for row in known if row["key"] != OTHER), key=lambda row: (-row["value"], row["key"]))
    return largest[:MOST_BARS] + [row for row in known if row["key"] == OTHER]


def _short(key: str) -> str:
    return key if len(key) <= LONGEST_LABEL else f"{key[: LONGEST_LABEL - 1]}…"
