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

    In an `unknown` week they have no value; in another one a series that is not found is 0.
    """

    def of_weeks(names: Collection[str]) -> list[int | None]:
        return [None if week in unknown else sum(found[name].get(week, 0) for name in names) for week in weeks]

    size = {name: sum(by_week.values()) for name, by_week in found.items() if name != OTHER}
    named = sorted(size, key=lambda name: (-size[name], name))[: len(PALETTE)]
    series = {name: of_weeks([name]) for name in named}
    rest = of_weeks(found.keys() - series.keys())
    return {**series, REST if len(size) > len(named) else OTHER: rest} if any(rest) else series
