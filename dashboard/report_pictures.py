"""The picture of lines over time in a report, as SVG: a report must show without scripts. Pure."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from dashboard.charts.style import ACCENT
from dashboard.formatting import count, share

WIDTH, HEIGHT, PAD = 720, 180, 6
TOP = 22  # above it is the highest figure
# Below the picture, for the first and the last date.
FOOT = 18
BEFORE = "#adb5bd"

Points = list[tuple[float, float] | None]


def line_picture(rows: Sequence[Sequence[str | float | None]]) -> Markup:
    """The second column of a table over its rows, from 0 to the highest figure, and behind it the others of its unit.

    The first column has the dates. Shares are numbers with decimals. A figure that is missing is a gap. Empty for no
    figure.
    """
    _, own, *others = map(_numbers, zip(*rows, strict=True)) if rows else ([], [])
    if not any(own):
        return Markup()
    shares = _are_shares(own)
    columns = [own, *(column for column in others if any(column) and _are_shares(column) == shares)]
    highest = max(value for values in columns for value in values if value is not None)
    step = (WIDTH - 2 * PAD) / max(len(rows) - 1, 1)
    lines = [
        [
            None if value is None else (PAD + step * number, HEIGHT - PAD - value / highest * (HEIGHT - PAD - TOP))
            for number, value in enumerate(values)
        ]
        for values in columns
    ]
    drawn = [line_of(points, BEFORE) for points in lines[1:]]
    labels = Markup(
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text>'
    ).format(
        PAD,
        PAD + 12,
        share(highest) if shares else count(round(highest)),
        PAD,
        HEIGHT + FOOT - 4,
        rows[0][0],
        WIDTH - PAD,
        HEIGHT + FOOT - 4,
        rows[-1][0],
    )
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="Line over time">{}{}{}</svg>').format(
        WIDTH, HEIGHT + FOOT, Markup().join(drawn), line_of(lines[0], ACCENT), labels
    )


def _numbers(column: Sequence[str | float | None]) -> list[float | None]:
    """The figures of a column; None for a text."""
    return [value if isinstance(value, int | float) else None for value in column]


def _are_shares(column: list[float | None]) -> bool:
    return any(isinstance(value, float) for value in column)


def line_of(points: Points, color: str, dashes: str = "") -> Markup:
    """A line in a color, with a gap for each point that is None. A single point is a dot."""
    drawn = []
    for known, part in groupby(points, key=lambda point: point is not None):
        if known:
            places = [point for point in part if point is not None]
            if len(places) == 1:
                drawn.append(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3"/>').format(*places[0]))
            else:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
                drawn.append(Markup('<polyline points="{}"/>').format(path))
    style = f"color: {color}{f'; stroke-dasharray: {dashes}' if dashes else ''}"
    return Markup('<g style="{}">{}</g>').format(style, Markup().join(drawn))
