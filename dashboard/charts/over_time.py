"""Charts over time: installs, adoption, beacons."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from core.releases import Release
from dashboard.charts import release_marks
from dashboard.charts.series import Line, after
from dashboard.charts.style import ACCENT, ACCENT_PALE, GREY, LAYOUT, SHADE, Figure
from dashboard.formatting import day, days, moment, plural, share

_TICKS = {"month": "%b %Y", "hour": "%-d %b<br>%H:%M"}


def installs_per_bucket(line: Line, grain: str, before: Line | None = None, releases: Sequence[Release] = ()) -> Figure:
    """Active installs over time. `before` is a period of comparison, drawn behind from the first bucket on."""
    hover = [
        f"<b>{_bucket(bucket, grain)}</b><br>{plural(int(value or 0), 'install')}{' so far' if part else ''}"
        for bucket, value, part in zip(line.buckets, line.values, line.incomplete, strict=True)
    ]
    return _over_time(line, grain, hover, ",d", before, releases)


def adoption_per_bucket(line: Line, grain: str, releases: Sequence[Release] = ()) -> Figure:
    """A feature's share of the active installs over time. Values are between 0 and 1."""
    hover = [
        f"<b>{_bucket(bucket, grain)}</b><br>{share(value or 0)} of installs"
        for bucket, value in zip(line.buckets, line.values, strict=True)
    ]
    return _over_time(line, grain, hover, ".0%", releases=releases)


def beacons_per_hour(line: Line) -> Figure:
    """Beacons of each of the last hours. An hour without beacons is a gap."""
    hover = [
        f"<b>{_bucket(bucket, 'hour')}</b><br>{plural(int(value or 0), 'beacon')}{' so far' if part else ''}"
        for bucket, value, part in zip(line.buckets, line.values, line.incomplete, strict=True)
    ]
    return _over_time(line, "hour", hover, ",d")


def _over_time(
    line: Line,
    grain: str,
    hover: list[str],
    tickformat: str,
    before: Line | None = None,
    releases: Sequence[Release] = (),
) -> Figure:
    """A solid line through complete buckets; a dotted line and hollow points for incomplete ones."""
    several = len(line.buckets) > 1
    solid, dotted = _solid_and_dotted(line)
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
    if before:
        data[1:1] = _behind(before, x[: len(before.buckets)], grain)
    known = [*line.values, *(before.values if before else ())]
    highest = max((value for value in known if value is not None), default=0)
    alone = line.buckets[0]
    xaxis = {
        "type": "date", "tickformat": _TICKS.get(grain, "%-d %b"), "nticks": 6, "automargin": True,
        "fixedrange": True, "showgrid": False, "zeroline": False, "ticks": "", "ticklabelstandoff": 8,
        # With few buckets Plotly would add ticks at hours between them, so each bucket gets its tick.
        **({"tickmode": "array", "tickvals": x} if len(x) <= 8 else {}),
        **({} if several else {"range": [f"{alone - timedelta(days=1)}", f"{alone + timedelta(days=1)}"]}),
    }  # fmt: skip
    yaxis = {
        "range": [0, highest * 1.12 or 1], "tickformat": tickformat, "nticks": 5, "automargin": True,
        "fixedrange": True, "zeroline": False, "ticks": "", "ticklabelstandoff": 8,
        **({"dtick": 1} if tickformat == ",d" and highest < 5 else {}),
    }  # fmt: skip
    layout = {
        **LAYOUT, "height": 280, "margin": {"l": 4, "r": 12, "t": 12, "b": 4}, "xaxis": xaxis, "yaxis": yaxis,
        "shapes": [*_shades(line, grain), *release_marks.lines(releases)],
        "annotations": release_marks.labels(releases, (line.buckets[-1] - line.buckets[0]).days),
    }  # fmt: skip
    return {"data": data, "layout": {**layout, "hovermode": "closest", "hoverdistance": 60}}


def _solid_and_dotted(line: Line) -> tuple[list[float | None], list[float | None]]:
    """The line through complete buckets, and that to and from incomplete ones."""
    solid = [None if part else value for value, part in zip(line.values, line.incomplete, strict=True)]
    dotted: list[float | None] = [None] * len(line.buckets)
    for index, part in enumerate(line.incomplete):
        if part:
            for near in (index - 1, index, index + 1):
                if 0 <= near < len(dotted):
                    dotted[near] = line.values[near]
    return solid, dotted


def _behind(before: Line, x: Sequence[str], grain: str) -> list[Figure]:
    """The lines of the period of comparison, over the buckets `x` of the period itself."""
    hover = [
        f"{_bucket(bucket, grain)}<br>{plural(int(value or 0), 'install')}{' of a part' if part else ''}"
        for bucket, value, part in zip(before.buckets, before.values, before.incomplete, strict=True)
    ]
    return [
        {
            "type": "scatter", "mode": "lines", "x": x, "y": y, "text": hover,
            "hovertemplate": "%{text}<extra></extra>", "line": {"color": GREY, "width": 1.5, "dash": dash},
        }
        for y, dash in zip(_solid_and_dotted(before), ("solid", "dot"), strict=True)
        if any(value is not None for value in y)
    ]  # fmt: skip


def _area(x: Sequence[str], values: Sequence[float | None]) -> dict[str, list[Any]]:
    """The outline of the area under each part of the line. Plotly's own fill would bridge gaps."""
    outline: list[tuple[str | None, float | None]] = []
    for known, part in groupby(zip(x, values, strict=True), key=lambda point: point[1] is not None):
        if known:
            points = list(part)
            outline += [(points[0][0], 0), *points, (points[-1][0], 0), (None, None)]
    return {"x": [at for at, _ in outline], "y": [value for _, value in outline]}


def _shades(line: Line, grain: str) -> list[Figure]:
    """A grey band over each bucket without data. It ends halfway to the neighboring buckets."""
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
    """Whether a value has no neighbor to connect to."""
    around = values[max(index - 1, 0) : index] + values[index + 1 : index + 2]  # type: ignore[operator]
    return values[index] is not None and all(value is None for value in around)


def _bucket(bucket: date, grain: str) -> str:
    if isinstance(bucket, datetime):
        return moment(bucket)
    if grain == "week":
        return days(bucket, bucket + timedelta(days=6))
    return f"{bucket:%B %Y}" if grain == "month" else f"{bucket:%a} {day(bucket)}"
