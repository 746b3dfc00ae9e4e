"""The chart of a card in a report, as SVG without scripts, made of the figure that the page draws. Pure."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import Any

from markupsafe import Markup

from dashboard.charts.style import Figure
from dashboard.formatting import count, share
from dashboard.report_pictures import FOOT, HEIGHT, PAD, TOP, WIDTH, Points, line_of

Traces = Sequence[dict[str, Any]]
GAP = 0.12  # between two bars, of their width


def chart_picture(figure: Figure | None) -> Markup:
    """Bars stacked by week, or lines over weeks or days, with their legend. Empty without points.

    It is empty for other figures, too. Lines may be dotted, and beside them may be bands and a threshold.
    """
    if not figure:
        return Markup()
    traces: Traces = figure["data"]
    places = sorted({_place(x) for trace in traces for x in trace.get("x", ())})
    bars = figure["layout"].get("barmode") == "stack"
    if not places or any(trace["type"] != ("bar" if bars else "scatter") for trace in traces):
        return Markup()
    axis = figure["layout"]["yaxis"]
    top = axis["range"][1] if "range" in axis else _highest(traces)
    drawn = _bars(traces, places, top) if bars else _lines(figure, places, top)
    ends = [x for place in (places[0], places[-1]) for trace in traces for x in trace["x"] if _place(x) == place]
    labels = [
        (PAD, PAD + 12, "start", share(top) if axis["tickformat"].endswith("%") else count(round(top))),
        (PAD, HEIGHT + FOOT - 4, "start", _label(ends[0])),
        (WIDTH - PAD, HEIGHT + FOOT - 4, "end", _label(ends[-1])),
    ]
    texts = [Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(*label) for label in labels]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>{}').format(
        WIDTH, HEIGHT + FOOT, "Bars by week" if bars else "Lines", Markup().join([*drawn, *texts]), _legend(figure)
    )


def _place(x: str | float) -> float:
    return date.fromisoformat(x).toordinal() if isinstance(x, str) else x


def _label(x: str | float) -> str:
    return x if isinstance(x, str) else f"day {x}"


def _highest(traces: Traces) -> float:
    """The highest stack of bars."""
    return max(sum(value or 0 for value in stack) for stack in zip(*(trace["y"] for trace in traces), strict=True)) or 1


def _y(value: float, top: float) -> float:
    return HEIGHT - PAD - value / top * (HEIGHT - PAD - TOP)


def _color(trace: dict[str, Any]) -> str:
    return str(
        trace["marker"]["color"] if trace["type"] == "bar" else trace["line"].get("color", trace.get("fillcolor"))
    )


def _bars(traces: Traces, places: Sequence[float], top: float) -> list[Markup]:
    slot = (WIDTH - 2 * PAD) / len(places)
    below = dict.fromkeys(places, 0.0)
    drawn = []
    for trace in traces:
        for place, value in zip(map(_place, trace["x"]), trace["y"], strict=True):
            if value:
                x, y = PAD + slot * (places.index(place) + GAP / 2), _y(below[place] + value, top)
                box = x, y, slot * (1 - GAP), _y(below[place], top) - y
                drawn.append(
                    Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" style="fill: {}"/>').format(
                        *box, _color(trace)
                    )
                )
                below[place] += value
    return drawn


def _lines(figure: Figure, places: Sequence[float], top: float) -> list[Markup]:
    scale = (WIDTH - 2 * PAD) / ((places[-1] - places[0]) or 1)

    def points(trace: dict[str, Any]) -> Points:
        known = zip(map(_place, trace["x"]), trace["y"], strict=True)
        return [None if y is None else (PAD + (x - places[0]) * scale, _y(y, top)) for x, y in known]

    drawn = [
        line_of([(PAD, _y(shape["y0"], top)), (WIDTH - PAD, _y(shape["y0"], top))], shape["line"]["color"], "6 4")
        for shape in figure["layout"].get("shapes", ())
    ]
    above: Points = []
    for trace in figure["data"]:
        line = points(trace)
        if trace.get("fill") == "toself":
            drawn.append(_area(line, trace))
            continue
        if trace.get("fill") == "tonexty":
            pairs = zip(above, line, strict=True)
            for known, part in groupby(pairs, key=lambda pair: None not in pair):
                upper, lower = zip(*part, strict=True)
                drawn += [_area([*upper, *reversed(lower)], trace)] if known else []
        drawn.append(line_of(line, _color(trace), "2 4" if trace["line"].get("dash") else ""))
        above = line
    return drawn


def _area(outline: Points, trace: dict[str, Any]) -> Markup:
    path = " ".join(f"{point[0]:.1f},{point[1]:.1f}" for point in outline if point)
    return Markup('<polygon points="{}" style="fill: {}; stroke: none"/>').format(path, trace["fillcolor"])


def _legend(figure: Figure) -> Markup:
    if not figure["layout"]["showlegend"]:
        return Markup()
    key = Markup('<span><span class="key" style="background: {}"></span>{}</span> ')
    keys = [key.format(_color(trace), trace["name"]) for trace in figure["data"]]
    return Markup('<p class="legend">{}</p>').format(Markup().join(keys))
