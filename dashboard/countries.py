"""The names of countries and, where `deploy/charts.sh` has fetched them, their outlines on the map of the world.

The outlines are those of Natural Earth, as the package world-atlas has them: TopoJSON, in which countries share the
lines of their borders. The map shows equal areas equally large.
"""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

ATLAS = Path(__file__).with_name("countries-110m.json")
WIDTH, EDGE = 1600, 8  # of the map, whose coordinates are whole numbers
ANTARCTICA = "AQ"
# The map is cut between Alaska and Siberia, and an island there is whole: no country is on both of its sides.
WEST = -169.0
# The polynomial of the projection Equal Earth (Šavrič, Patterson and Jenny, 2018).
EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)

Point = tuple[float, float]


@dataclass(frozen=True)
class Country:
    """A country. `number` is its number in ISO 3166-1. `place` is where its dot is if it is too small for the map."""

    number: str
    name: str
    place: Point | None = None


@cache
def countries() -> Mapping[str, Country]:
    """The countries by the two letters of ISO 3166-1."""
    rows = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {code: Country(row[0], row[1], (row[2], row[3]) if row[2:] else None) for code, row in rows.items()}


def named(code: str) -> str:
    """`Germany (DE)`; an unknown code as it is."""
    return f"{countries()[code].name} ({code})" if code in countries() else code


@cache
def outlines(atlas: Path) -> Mapping[str, Any] | None:
    """The map as a browser draws it; None without the atlas.

    `countries` has an SVG path by code, `land` that of what has no code, `dots` the places of small countries.
    """
    if not atlas.is_file():
        return None
    topology = json.loads(atlas.read_bytes())
    arcs = [_degrees(arc, topology["transform"]) for arc in topology["arcs"]]
    codes = {key: code for code, country in countries().items() for key in (country.number, country.name) if key}
    rings: dict[str, list[list[Point]]] = {}
    for one in topology["objects"]["countries"]["geometries"]:
        code = codes.get(one.get("id", "")) or codes.get(one["properties"]["name"], "")
        if code != ANTARCTICA:
            rings.setdefault(code, []).extend(_ring(ring) for ring in _rings(one, arcs))
    dots = {code: _projected(_from_west(country.place)) for code, country in countries().items() if country.place}
    places = [*dots.values(), *(place for of_one in rings.values() for ring in of_one for place in ring)]
    left, right = min(x for x, _ in places), max(x for x, _ in places)
    bottom, top = min(y for _, y in places), max(y for _, y in places)
    scale = (WIDTH - 2 * EDGE) / (right - left)

    def pixel(place: Point) -> tuple[int, int]:
        return round((place[0] - left) * scale) + EDGE, round((top - place[1]) * scale) + EDGE

    paths = {code: "".join(_path(list(map(pixel, ring))) for ring in of_one) for code, of_one in rings.items()}
    return {
        "width": WIDTH,
        "height": round((top - bottom) * scale) + 2 * EDGE,
        "land": paths.pop("", ""),
        "countries": paths,
        "dots": {code: pixel(place) for code, place in dots.items()},
        "names": {code: country.name for code, country in countries().items()},
    }


def _degrees(arc: Sequence[Sequence[int]], transform: Mapping[str, Sequence[float]]) -> list[Point]:
    """The points of an arc, which are stored as steps of a grid."""
    (wide, high), (left, low) = transform["scale"], transform["translate"]
    x = y = 0
    places = []
    for right, up in arc:
        x, y = x + right, y + up
        places.append((x * wide + left, y * high + low))
    return places


def _rings(geometry: Mapping[str, Any], arcs: Sequence[Sequence[Point]]) -> Iterator[list[Point]]:
    """The rings of a polygon or of several. An arc with a negative number is taken from its end."""
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    for polygon in polygons:
        for ring in polygon:
            places: list[Point] = []
            for number in ring:
                part = arcs[number] if number >= 0 else arcs[~number][::-1]
                places.extend(part[1:] if places else part)
            yield places


def _from_west(place: Point) -> Point:
    """A place with the degrees from the western edge of the map in place of its longitude."""
    return (place[0] - WEST) % 360, place[1]


def _ring(ring: Sequence[Point]) -> list[Point]:
    """A ring on the plane, whole on the side of the map that has most of its points."""
    places = list(map(_from_west, ring))
    if max(x for x, _ in places) - min(x for x, _ in places) > 180:
        east = sum(x > 180 for x, _ in places) > len(places) / 2
        places = [(x + 360 if east and x < 180 else x - 360 if not east and x > 180 else x, y) for x, y in places]
    return list(map(_projected, places))


def _projected(place: Point) -> Point:
    """A place on the plane, with the equator and the middle of the map as zero."""
    one, two, three, four = EQUAL_EARTH
    angle = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(place[1])))
    square = angle * angle
    sixth = square**3
    slope = 9 * four * sixth * square + 7 * three * sixth + 3 * two * square + one
    x = 2 * math.sqrt(3) * math.radians(place[0] - 180) * math.cos(angle) / (3 * slope)
    return x, angle * (four * sixth * square + three * sixth + two * square + one)


def _path(ring: Sequence[tuple[int, int]]) -> str:
    """A ring as the commands of an SVG path, in steps; empty for one that is no area."""
    places = [place for number, place in enumerate(ring) if not number or place != ring[number - 1]]
    if len(set(places)) < 3:
        return ""
    steps = [f"{x - a},{y - b}" for (a, b), (x, y) in pairwise(places[:-1])]
    return f"M{places[0][0]},{places[0][1]}l{' '.join(steps)}z"
