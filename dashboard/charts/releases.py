"""Charts of releases: the share of a module's installs on each, by days since the release."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.charts.palette import colors
from dashboard.charts.shares import LEGEND
from dashboard.charts.style import ACCENT, LAYOUT, SHADE, Figure
from dashboard.formatting import share

Curve = Sequence[float | None]  # a share for each day since the release, the first is day 0


def adoption_since_release(curves: Mapping[str, Curve]) -> Figure:
    """A line for each release."""
    color = colors(list(curves))
    data = [_line(release, curve, color[release], 2) for release, curve in curves.items()]
    return {"data": data, "layout": _layout(list(curves.values()))}


def release_watch(release: str, newest: Curve, band: Sequence[tuple[float, float]]) -> Figure:
    """The newest release, and the band of the lowest and highest of earlier ones at the same age."""
    ages = list(range(len(band)))
    outline = {
        "type": "scatter", "mode": "lines", "x": ages + ages[::-1],
        "y": [high for _, high in band] + [low for low, _ in band][::-1], "fill": "toself", "fillcolor": SHADE,
        "line": {"width": 0}, "hoverinfo": "skip", "name": "earlier releases",
    }  # fmt: skip
    curves: list[Curve] = [newest, [high for _, high in band]]
    data = [*([outline] if band else []), _line(release, newest, ACCENT, 3)]
    return {"data": data, "layout": _layout(curves)}


def _line(release: str, curve: Curve, color: str, width: float) -> dict[str, Any]:
    hover = [f"{release}, day {age}<br>{share(value or 0)} of installs" for age, value in enumerate(curve)]
    return {
        "type": "scatter", "mode": "lines" if len(curve) > 1 else "markers", "name": release,
        "x": list(range(len(curve))), "y": list(curve), "text": hover, "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": color, "width": width}, "marker": {"color": color},
    }  # fmt: skip


def _layout(curves: Sequence[Curve]) -> dict[str, Any]:
    highest = max((value for curve in curves for value in curve if value is not None), default=0)
    return {
        **LAYOUT, "height": 340, "margin": {"l": 4, "r": 12, "t": 12, "b": 4}, "hovermode": "closest",
        "xaxis": {"title": {"text": "Days since the release", "font": {"size": 12}}, "fixedrange": True,
                  "showgrid": False, "zeroline": False, "ticks": "", "automargin": True, "rangemode": "tozero"},
        "yaxis": {"tickformat": ".0%", "nticks": 5, "automargin": True, "fixedrange": True, "zeroline": False,
                  "ticks": "", "ticklabelstandoff": 8, "range": [0, min(highest * 1.12, 1) or 1]},
        "showlegend": True, "legend": LEGEND,
    }  # fmt: skip
