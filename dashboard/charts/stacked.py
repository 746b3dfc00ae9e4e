"""Charts of counts by week, stacked: installs by what they report, flags by rule. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from dashboard.answer_rows import REST
from dashboard.charts.palette import PALETTE
from dashboard.charts.shares import LEGEND, weekly_axis, weekly_bars
from dashboard.charts.style import LAYOUT, Figure
from dashboard.formatting import count
from warehouse.queries.small_groups import OTHER

HEIGHT = 340


def counts_by_week(weeks: Sequence[date], series: Mapping[str, Sequence[int | None]], unit: str) -> Figure:
    """A bar for each week, with a part for each name, the largest first. None is too few to show."""
    data = weekly_bars(weeks, series, lambda value: f"{count(int(value))} {unit}")
    layout = {
        **LAYOUT, "height": HEIGHT, "margin": {"l": 4, "r": 4, "t": 8, "b": 4}, "barmode": "stack", "bargap": 0.12,
        "xaxis": weekly_axis(weeks, 4), "showlegend": True, "legend": {**LEGEND, "traceorder": "normal"},
        "yaxis": {"tickformat": ",d", "nticks": 5, "automargin": True, "fixedrange": True, "zeroline": False,
                  "ticks": "", "ticklabelstandoff": 8, "rangemode": "tozero"},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def largest_series(
    found: Mapping[str, Mapping[date, int]], weeks: Sequence[date], unknown: Collection[date] = ()
) -> dict[str, list[int | None]]:
    """The largest series of all weeks, the largest first, and `(rest)` with all others, or `(other)` if it is all.

    In an `unknown` week they have no value. A series that a week does not name has none either if the week has an
    `(other)`, which may hold it; otherwise it is 0.
    """
    folded = found.get(OTHER, {})

    def of_weeks(names: Collection[str]) -> list[int | None]:
        def value(week: date) -> int | None:
            named = [found[name][week] for name in names if week in found[name]]
            return None if week in unknown or (not named and week in folded) else sum(named)

        return [value(week) for week in weeks]

    size = {name: sum(by_week.values()) for name, by_week in found.items() if name != OTHER}
    named = sorted(size, key=lambda name: (-size[name], name))[: len(PALETTE)]
    series = {name: of_weeks([name]) for name in named}
    rest = of_weeks(found.keys() - series.keys())
    return {**series, REST if len(size) > len(named) else OTHER: rest} if any(rest) else series
