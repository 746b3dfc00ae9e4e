"""Charts of shares over time: versions stacked by week, and a share that falls."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from dashboard.charts.palette import colors
from dashboard.charts.style import ACCENT, ACCENT_PALE, GREY, LAYOUT, Figure
from dashboard.formatting import day, share, shares
from dashboard.projection import Course

_X: dict[str, Any] = {
    "type": "date", "tickformat": "%-d %b<br>%Y", "nticks": 6, "automargin": True, "fixedrange": True,
    "showgrid": False, "zeroline": False, "ticks": "", "tickangle": 0,
}  # fmt: skip
_WEEK = 7 * 86400 * 1000  # in milliseconds, as Plotly counts
_Y: dict[str, Any] = {
    "tickformat": ".0%", "nticks": 5, "automargin": True, "fixedrange": True, "zeroline": False, "ticks": "",
    "ticklabelstandoff": 8,
}  # fmt: skip
# At the foot of the picture: it makes room for itself, and no label of an axis is under it.
LEGEND: dict[str, Any] = {
    "orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 12},
    "itemclick": False, "itemdoubleclick": False,
}  # fmt: skip


def weekly_axis(weeks: Sequence[date], most: int = 6) -> dict[str, Any]:
    """The time axis of bars by week: its labels are first days of weeks, every so many of them."""
    if not weeks:
        return _X
    every = -(-len(weeks) // most)
    year = "" if weeks[0].year == weeks[-1].year else "<br>%Y"
    return {**_X, "tickformat": f"%-d %b{year}", "tick0": weeks[0].isoformat(), "dtick": every * _WEEK}


def weekly_bars(
    weeks: Sequence[date], series: Mapping[str, Sequence[float | None]], text: Callable[[float], str]
) -> list[dict[str, Any]]:
    """The bars of each name, stacked by week. `text` writes a value for who points at it."""
    color = colors(list(series))
    return [
        {
            "type": "bar", "name": name, "x": [week.isoformat() for week in weeks], "y": list(values),
            "marker": {"color": color[name]},
            "customdata": [f"{name}: {text(value or 0)}<br>week of {day(week)}"
                           for week, value in zip(weeks, values, strict=True)],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        for name, values in series.items()
    ]  # fmt: skip


def share_by_version(weeks: Sequence[date], shares: Mapping[str, Sequence[float | None]]) -> Figure:
    """The share of each version by week, stacked. A week without figures is a gap."""
    data = weekly_bars(weeks, shares, share)
    layout = {
        **LAYOUT, "height": 360, "margin": {"l": 4, "r": 4, "t": 8, "b": 4}, "barmode": "stack", "bargap": 0.12,
        "xaxis": weekly_axis(weeks), "yaxis": {**_Y, "range": [0, 1]},
        "showlegend": True, "legend": {**LEGEND, "traceorder": "normal"},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def share_to_drop(
    points: Sequence[tuple[date, tuple[float, float] | None]],
    course: Course | None,
    threshold: float,
    until: date | None,
) -> Figure:
    """A share by week, how it goes on if it falls as it did (dotted, until `until`), and the threshold (dashed).

    Of each week there are two shares: where they differ, the share is between them, and a band is drawn in its place.
    """
    x = [week.isoformat() for week, _ in points]
    least, most = ([bounds and bounds[number] for _, bounds in points] for number in (0, 1))
    told = [bounds[0] if bounds and bounds[0] == bounds[1] else None for _, bounds in points]
    hover = [f"week of {day(week)}<br>{shares(*(bounds or (0, 0)))} of installs" for week, bounds in points]
    data: list[Figure] = [
        {
            "type": "scatter", "mode": "lines+markers", "x": x, "y": told, "text": hover,
            "hovertemplate": "%{text}<extra></extra>", "line": {"color": ACCENT, "width": 2}, "marker": {"size": 5},
        }
    ]  # fmt: skip
    if told != most:
        edge = {**data[0], "line": {"color": ACCENT, "width": 1}, "marker": {"size": 4}}
        data += [{**edge, "y": most}, {**edge, "y": least, "fill": "tonexty", "fillcolor": ACCENT_PALE}]
    end = points[-1][0] if points else None
    if course and until and end:
        ahead = [end + timedelta(days=(until - end).days * step // 20) for step in range(21)]
        data.append({
            "type": "scatter", "mode": "lines", "x": [one.isoformat() for one in ahead],
            "y": [course.on(one) for one in ahead], "hoverinfo": "skip",
            "line": {"color": ACCENT, "width": 2, "dash": "dot"},
        })  # fmt: skip
        x = [*x, until.isoformat()]
    highest = max([each for each in most if each is not None], default=0)
    limit = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": threshold, "y1": threshold,
        "line": {"color": GREY, "width": 1.5, "dash": "dash"},
    }  # fmt: skip
    layout = {
        **LAYOUT, "height": 280, "margin": {"l": 4, "r": 12, "t": 12, "b": 4}, "xaxis": _X, "hovermode": "closest",
        "yaxis": {**_Y, "range": [0, max(highest * 1.15, threshold * 1.5)],
                  "tickformat": ".0%" if highest > 0.1 else ".1%"},
        "shapes": [limit],
    }  # fmt: skip
    return {"data": data, "layout": layout}
