"""The picture of a line in a report, as SVG: a report must show without scripts. Pure."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

WIDTH, HEIGHT, PAD = 720, 180, 6


def line_picture(rows: Sequence[Sequence[str | float | None]]) -> Markup:
    """The second column of a table over its rows; a figure that is missing is a gap. Empty for no figure."""
    values = [row[1] if isinstance(row[1], int | float) else None for row in rows]
    highest = max((value for value in values if value is not None), default=0)
    if not highest:
        return Markup()
    step = (WIDTH - 2 * PAD) / max(len(values) - 1, 1)
    points = [
        None if value is None else (PAD + step * number, HEIGHT - PAD - value / highest * (HEIGHT - 2 * PAD))
        for number, value in enumerate(values)
    ]
    drawn = []
    for known, part in groupby(points, key=lambda point: point is not None):
        if known:
            places = [point for point in part if point is not None]
            if len(places) == 1:
                drawn.append(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3"/>').format(*places[0]))
            else:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
                drawn.append(Markup('<polyline points="{}"/>').format(path))
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="Line over time">{}</svg>').format(
        WIDTH, HEIGHT, Markup().join(drawn)
    )
