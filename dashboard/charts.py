"""The charts: a registry, and a pure `figure(rows) -> Figure` for each.

A chart's name is its query, its key here, its figure function and its component id. Colors of text and grid are left
to the style sheet, which knows the light and the dark scheme; the trace colors have contrast on both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from dashboard.formatting import count, day, days, moment, plural, share
from dashboard.gaps import HOUR, Received, silent_days, silent_hours
from warehouse.queries.small_groups import OTHER

ACCENT, ACCENT_PALE, GREY = "#5c7cfa", "rgba(92,124,250,0.16)", "#909296"
SHADE = "rgba(144,146,150,0.22)"
MOST_BARS = 10
LONGEST_LABEL = 22
BAR_HEIGHT = 34
CONFIG = {"displayModeBar": False, "displaylogo": False, "responsive": True, "scrollZoom": False, "doubleClick": False}

# A Plotly figure as the browser gets it. Plotly's Python classes check every value: 40 ms a figure, eight to a page.
Figure = dict[str, Any]
Row = dict[str, Any]  # of the read API: bucket, key, value (None: fewer than k)


@dataclass(frozen=True)
class Chart:
    """A chart: what it asks of which metric, and how that is drawn."""

    title: str
    metric: str
    args: dict[str, str]
    figure: Callable[..., Figure]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A line over time: one point per bucket.

    `incomplete` buckets are not over, or only in part within the range. Where there is no value, the bucket is `small`
    (under k), or `silent` (no beacon of any module: a gap in the data), or before the first beacon.
    """

    buckets: list[date]
    values: list[float | None] = field(default_factory=list)
    incomplete: list[bool] = field(default_factory=list)
    small: list[bool] = field(default_factory=list)
    silent: list[bool] = field(default_factory=list)


def installs_per_bucket(line: Line, grain: str) -> Figure:
    """Active installs over time."""
    hover = [
        f"<b>{_bucket(bucket, grain)}</b><br>{count(int(value or 0))} installs{' so far' if part else ''}"
        for bucket, value, part in zip(line.buckets, line.values, line.incomplete, strict=True)
    ]
    return _over_time(line, grain, hover, ",d")


def adoption_per_bucket(line: Line, grain: str) -> Figure:
    """A feature's share of the active installs over time; values are parts of 1."""
    hover = [
        f"<b>{_bucket(bucket, grain)}</b><br>{share(value or 0)} of installs"
        for bucket, value in zip(line.buckets, line.values, strict=True)
    ]
    return _over_time(line, grain, hover, ".0%")


def beacons_per_hour(line: Line) -> Figure:
    """Beacons of each of the last hours; an hour without any is a gap."""
    hover = [
        f"<b>{_bucket(bucket, 'hour')}</b><br>{plural(int(value or 0), 'beacon')}{' so far' if part else ''}"
        for bucket, value, part in zip(line.buckets, line.values, line.incomplete, strict=True)
    ]
    return _over_time(line, "hour", hover, ",d")


def installs_by(rows: Sequence[Row], total: int) -> Figure:
    """Installs by one dimension, largest first, `(other)` last and grey, each with its share of the active installs."""
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
        **_LAYOUT,
        "height": BAR_HEIGHT * len(shown) + 12,
        "margin": {"l": 4, "r": 4, "t": 4, "b": 4},
        # Room at the right for the label of the longest bar.
        "xaxis": {"visible": False, "range": [0, max(values, default=1) * 1.55], "fixedrange": True},
        "yaxis": {
            "autorange": "reversed", "fixedrange": True, "automargin": True, "ticks": "", "showgrid": False,
            "type": "category", "ticklabelstandoff": 8, "zeroline": False, "showline": False,
        },
    }  # fmt: skip
    return {"data": [trace], "layout": layout}


def shown_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that a bar chart has room for: the largest, then `(other)`; without those under k."""
    known = [row for row in rows if row["value"] is not None]
    largest = sorted((row for row in known if row["key"] != OTHER), key=lambda row: (-row["value"], row["key"]))
    return largest[:MOST_BARS] + [row for row in known if row["key"] == OTHER]


def line(rows: Sequence[Row], start: date, end: date, grain: str, today: date, received: Received) -> Line:
    """The rows of a metric without grouping as a line with a point for every bucket.

    Without a row a bucket is 0 where other modules had beacons in it; where nobody had, it has no value.
    """
    found = {row["bucket"]: row["value"] for row in rows}
    silent = set(silent_days(received, start, end, today))
    filled = Line([])
    bucket = first(start, grain)
    while bucket <= end:
        following = after(bucket, grain)
        inside = [max(bucket, start) + timedelta(days=number) for number in range((following - bucket).days)]
        inside = [day for day in inside if day < following and day <= end]
        nothing = bucket.isoformat() not in found and not any(day in received.days for day in inside)
        filled.buckets.append(bucket)
        filled.values.append(None if nothing else found.get(bucket.isoformat(), 0))
        filled.incomplete.append(bucket < start or following - timedelta(days=1) > end or following > today)
        filled.small.append(not nothing and filled.values[-1] is None)
        filled.silent.append(nothing and any(day in silent for day in inside))
        bucket = following
    return filled


def line_of_hours(first: datetime | None, beacons: Mapping[datetime, int], hours: Sequence[datetime]) -> Line:
    """The beacons of each hour as a line; the last hour is not over. `first` is the first beacon's time ever."""
    silent = set(silent_hours(first, beacons, hours))
    return Line(
        list(hours),
        [beacons.get(hour) for hour in hours],
        [hour == hours[-1] for hour in hours],
        [False for _ in hours],
        [hour in silent for hour in hours],
    )


def ratio(part: Line, whole: Line) -> Line:
    """`part` as a share of `whole`, bucket by bucket; no value where either has none, small where nothing was active.

    Both are of the same buckets.
    """
    pairs = list(zip(part.values, whole.values, strict=True))
    values = [None if above is None or not below else above / below for above, below in pairs]
    small = [a or b or below == 0 for a, b, (_, below) in zip(part.small, whole.small, pairs, strict=True)]
    return Line(part.buckets, list(values), part.incomplete, small, whole.silent)


def first(moment: date, grain: str) -> date:
    """The first day of the bucket that `moment` is in."""
    if grain == "week":
        return moment - timedelta(days=moment.weekday())
    return moment.replace(day=1) if grain == "month" else moment


def after(bucket: date, grain: str) -> date:
    """The bucket after this one."""
    if grain == "hour":
        return bucket + HOUR
    if grain == "month":
        return (bucket + timedelta(days=31)).replace(day=1)
    return bucket + timedelta(days=7 if grain == "week" else 1)


_TICKS = {"month": "%b %Y", "hour": "%-d %b<br>%H:%M"}
_HOVER = {"bgcolor": "#212529", "bordercolor": "#495057", "align": "left"}
_FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_LAYOUT: dict[str, Any] = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": _FONT, "size": 13},
    "hoverlabel": {**_HOVER, "font": {"family": _FONT, "size": 13, "color": "#ffffff"}},
    "showlegend": False,
    "dragmode": False,
    "separators": ". ",  # thin space between thousands, as in the text
}


def _over_time(line: Line, grain: str, hover: list[str], tickformat: str) -> Figure:
    """The complete buckets as a solid line, what leads to or from an incomplete one dotted, with a hollow point."""
    several = len(line.buckets) > 1
    solid = [None if part else value for value, part in zip(line.values, line.incomplete, strict=True)]
    dotted: list[float | None] = [None] * len(line.buckets)
    for index, part in enumerate(line.incomplete):
        if part:
            for near in (index - 1, index, index + 1):
                if 0 <= near < len(dotted):
                    dotted[near] = line.values[near]
    lonely = [_is_lonely(solid, index) for index in range(len(solid))]
    marked = [len(line.buckets) <= 31 or part or alone for part, alone in zip(line.incomplete, lonely, strict=True)]
    x = [bucket.isoformat() for bucket in line.buckets]
    stroke = {"type": "scatter", "mode": "lines", "x": x, "hoverinfo": "skip"}
    points = {
        "type": "scatter", "mode": "markers", "x": x, "y": line.values, "text": hover,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": [7 if part or alone else 5 for part, alone in zip(line.incomplete, lonely, strict=True)],
            "color": ACCENT,
            "opacity": [int(mark) for mark in marked],
            "symbol": ["circle-open" if part else "circle" for part in line.incomplete],
            "line": {"width": 2, "color": ACCENT},
        },
    }  # fmt: skip
    data = [
        {**stroke, **_area(x, line.values), "line": {"width": 0}, "fill": "toself", "fillcolor": ACCENT_PALE},
        {**stroke, "y": dotted, "line": {"color": ACCENT, "width": 2, "dash": "dot"}},
        points,
        {**stroke, "y": solid, "line": {"color": ACCENT, "width": 2}},
    ]
    highest = max((value for value in line.values if value is not None), default=0)
    alone = line.buckets[0]
    xaxis = {
        "type": "date", "tickformat": _TICKS.get(grain, "%-d %b"), "nticks": 6, "automargin": True,
        "fixedrange": True, "showgrid": False, "zeroline": False, "ticks": "", "ticklabelstandoff": 8,
        # Few buckets are named each: the axis would put ticks at hours between them.
        **({"tickmode": "array", "tickvals": x} if len(x) <= 8 else {}),
        **({} if several else {"range": [f"{alone - timedelta(days=1)}", f"{alone + timedelta(days=1)}"]}),
    }  # fmt: skip
    yaxis = {
        "range": [0, highest * 1.12 or 1], "tickformat": tickformat, "nticks": 5, "automargin": True,
        "fixedrange": True, "zeroline": False, "ticks": "", "ticklabelstandoff": 8,
        **({"dtick": 1} if tickformat == ",d" and highest < 5 else {}),
    }  # fmt: skip
    layout = {
        **_LAYOUT, "height": 280, "margin": {"l": 4, "r": 12, "t": 12, "b": 4}, "xaxis": xaxis, "yaxis": yaxis,
        "shapes": _shades(line, grain),
    }  # fmt: skip
    return {"data": data, "layout": {**layout, "hovermode": "closest", "hoverdistance": 60}}


def _area(x: Sequence[str], values: Sequence[float | None]) -> dict[str, list[Any]]:
    """The outline of what lies under the line, one for each part of it: Plotly's own filling goes across gaps."""
    outline: list[tuple[str | None, float | None]] = []
    for known, part in groupby(zip(x, values, strict=True), key=lambda point: point[1] is not None):
        if known:
            points = list(part)
            outline += [(points[0][0], 0), *points, (points[-1][0], 0), (None, None)]
    return {"x": [at for at, _ in outline], "y": [value for _, value in outline]}


def _shades(line: Line, grain: str) -> list[Figure]:
    """A grey band over each bucket of which there is no data, from halfway to its neighbors."""
    shades: list[Figure] = []
    for bucket, silent in zip(line.buckets, line.silent, strict=True):
        if not silent:
            continue
        begin = datetime.combine(bucket, datetime.min.time()) if not isinstance(bucket, datetime) else bucket
        half = (after(bucket, grain) - bucket) / 2
        left, right = (begin - half).isoformat(), (begin + half).isoformat()
        if shades and shades[-1]["x1"] == left:
            shades[-1]["x1"] = right
        else:
            shades.append({
                "type": "rect", "x0": left, "x1": right, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
                "fillcolor": SHADE, "line": {"width": 0},
            })  # fmt: skip
    return shades


def _is_lonely(values: Sequence[float | None], index: int) -> bool:
    """Whether a value has no neighbors to draw a line to."""
    around = values[max(index - 1, 0) : index] + values[index + 1 : index + 2]  # type: ignore[operator]
    return values[index] is not None and all(value is None for value in around)


def _bucket(bucket: date, grain: str) -> str:
    if isinstance(bucket, datetime):
        return moment(bucket)
    if grain == "week":
        return days(bucket, bucket + timedelta(days=6))
    return f"{bucket:%B %Y}" if grain == "month" else f"{bucket:%a} {day(bucket)}"


def _short(key: str) -> str:
    return key if len(key) <= LONGEST_LABEL else f"{key[: LONGEST_LABEL - 1]}…"


def _by(dimension: str, title: str, note: str = "") -> Chart:
    return Chart(title, "installs", {"by": dimension, "grain": "period"}, installs_by, note)


CHARTS: dict[str, Chart] = {
    "installs_per_bucket": Chart("Active installs", "installs", {}, installs_per_bucket),
    "installs_by_version": _by("version", "Module versions"),
    "installs_by_license_status": _by("license_status", "License status"),
    "installs_by_os": _by("os", "Operating systems"),
    "installs_by_virtualization": _by("virtualization", "Virtualization"),
    "installs_by_php": _by("php", "PHP versions"),
    "installs_by_whmcs": _by("whmcs", "WHMCS versions"),
    "installs_by_country": _by("country", "Countries"),
    "beacons_per_hour": Chart("Beacons per hour", "beacons", {}, beacons_per_hour),
    "adoption_per_bucket": Chart("Adoption over time", "feature_installs", {"by": "none"}, adoption_per_bucket),
}
