"""The names of countries, and their outlines as a browser draws them."""

import json
import re
from pathlib import Path
from typing import Any

import brotli
import pytest

from dashboard.charts.country_map import country_map, lowest_of_steps
from dashboard.countries import ATLAS, EDGE, WIDTH, countries, named, outlines
from dashboard.permissions import MAP
from tests.dashboard.test_script_assets import Visit

# Two squares that share a border, one on both sides of the antimeridian, one without a code, and the Antarctic.
ARCS = [
    [[10, 10], [0, 10]],
    [[10, 20], [-10, 0], [0, -10], [10, 0]],
    [[10, 20], [10, 0], [0, -10], [-10, 0]],
    [[170, 50], [20, 0], [-360, 10], [-20, 0], [0, -10]],
    [[40, -20], [10, 0], [0, 10], [-10, -10]],
    [[-171, 60], [3, 0], [0, 1], [-3, 0], [0, -1]],
    [[-180, -80], [360, 0], [0, -10], [-360, 10]],
]
SHAPES = (("276", "Germany", [[0, 1]]), ("250", "France", [[~0, ~2]]), ("643", "Russia", [[3]]),
          ("", "Kosovo", [[4]]), ("", "Nowhere", [[4]]), ("840", "United States", [[5]]),
          ("010", "Antarctica", [[6]]))  # fmt: skip


def atlas(folder: Path) -> Path:
    """A small atlas in a file."""
    shapes: list[dict[str, Any]] = [
        {"type": "Polygon", "arcs": arcs, "properties": {"name": name}, **({"id": number} if number else {})}
        for number, name, arcs in SHAPES
    ]
    shapes[1] |= {"type": "MultiPolygon", "arcs": [shapes[1]["arcs"]]}
    transform = {"scale": [1, 1], "translate": [0, 0]}
    path = folder / "atlas.json"
    path.write_text(
        json.dumps({"transform": transform, "arcs": ARCS, "objects": {"countries": {"geometries": shapes}}})
    )
    return path


def corners(path: str) -> list[tuple[int, int]]:
    """The points of a path of one ring."""
    start, rest = path.removeprefix("M").removesuffix("z").split("l")
    places = [tuple(map(int, start.split(",")))]
    for step in rest.split(" "):
        x, y = map(int, step.split(","))
        places.append((places[-1][0] + x, places[-1][1] + y))
    return [(x, y) for x, y in places]


def test_a_country_has_two_letters_a_number_and_a_name() -> None:
    """No code and no number is there twice. An unknown code is shown as it is."""
    numbers = [country.number for country in countries().values() if country.number]
    assert len(numbers) == len(set(numbers)) == len(countries()) - 1
    assert all(re.fullmatch("[A-Z]{2}", code) for code in countries())
    assert named("DE") == "Germany (DE)"
    assert named("ZZ") == "ZZ"


def test_outlines_are_paths_by_country(tmp_path: Path) -> None:
    """Neighbors share their border. A country at the antimeridian or the edge is whole. Land may have no code."""
    drawn = outlines(atlas(tmp_path))
    assert drawn is not None
    assert set(drawn["countries"]) == {"DE", "FR", "RU", "US", "XK"}
    assert drawn["land"] == drawn["countries"]["XK"]
    shared = set(corners(drawn["countries"]["DE"])) & set(corners(drawn["countries"]["FR"]))
    assert len(shared) == 2
    for code in ("RU", "US"):
        wide = [x for x, _ in corners(drawn["countries"][code])]
        assert max(wide) - min(wide) < WIDTH / 10
    inside = [place for path in drawn["countries"].values() for place in corners(path)]
    assert all(EDGE <= x <= WIDTH - EDGE and EDGE <= y <= drawn["height"] - EDGE for x, y in inside)
    assert set(drawn["dots"]) == {code for code, country in countries().items() if country.place}
    assert outlines(tmp_path / "none.json") is None


def test_every_country_is_on_the_map_or_too_small() -> None:
    """No shape of the atlas has a number that the table lacks, and no country has both a shape and a dot."""
    drawn = outlines(ATLAS)
    if drawn is None:
        pytest.skip("deploy/charts.sh could not fetch the outlines")
    assert len(drawn["countries"]) > 170
    assert not drawn["countries"].keys() & drawn["dots"].keys()
    absent = countries().keys() - drawn["countries"].keys() - drawn["dots"].keys()
    assert absent == {"AQ", "BV", "CC", "CX", "GS", "HM", "NF", "PM", "PN", "SJ", "TK", "UM", "WF"}
    assert len(brotli.compress(json.dumps(drawn, separators=(",", ":")).encode(), quality=5)) < 20_000


def rows(**installs: int) -> list[dict[str, Any]]:
    return [{"key": key.replace("other", "(other)"), "value": value} for key, value in installs.items()]


def test_a_map_of_no_country() -> None:
    """Nothing is colored."""
    assert country_map([], 0, 5) == {"none": "none, or too few to show", "steps": [], "countries": {}}


def test_a_map_of_one_country() -> None:
    """There is one step. With k = 1 nothing is hidden."""
    drawn = country_map(rows(NL=9), 9, 1)
    assert drawn == {"none": "none", "steps": ["9"], "countries": {"NL": [1, "Netherlands: 9 installs, 100%"]}}


def test_a_map_of_many_countries() -> None:
    """More installs are a higher step. Folded groups and unknown codes are not on the map."""
    drawn = country_map(rows(US=812, DE=500, NL=99, FR=10, MT=5, ZZ=7, other=20), 1453, 5)
    assert drawn["steps"] == ["5 – 9", "10 – 19", "20 – 99", "100 – 499", "500 – 812"]
    assert {code: step for code, (step, _) in drawn["countries"].items()} == {
        "US": 5,
        "DE": 5,
        "NL": 3,
        "FR": 2,
        "MT": 1,
    }
    assert drawn["countries"]["MT"][1] == "Malta: 5 installs, 0.3%"


@pytest.mark.parametrize(
    ("values", "steps"),
    [([], []), ([7], [7]), ([7, 7], [7]), ([5, 9], [5]), ([5, 10], [5, 10]), ([1, 4], [1, 2]),
     ([1, 10**6], [1, 2, 100, 10_000, 10**6])],
)  # fmt: skip
def test_steps_begin_at_round_numbers(values: list[int], steps: list[int]) -> None:
    """At most five steps, and none is empty of the least and the most."""
    assert lowest_of_steps(values) == steps


def test_outlines_need_a_login_and_are_cached(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser asks whether they changed. Without an atlas there are none, and the page has no place for them."""
    monkeypatch.setattr("dashboard.script_assets.ATLAS", atlas(tmp_path))
    visit: Visit = request.getfixturevalue("visit")
    sent = visit("product").get(MAP, headers={"Accept-Encoding": "br"})
    assert set(json.loads(brotli.decompress(sent.data))["countries"]) == {"DE", "FR", "RU", "US", "XK"}
    assert visit("product").get(MAP, headers={"If-None-Match": sent.headers["ETag"]}).status_code == 304
    assert visit(None).get(MAP).status_code == 401
    monkeypatch.setattr("dashboard.script_assets.ATLAS", tmp_path / "none.json")
    assert visit("product").get(MAP).status_code == 404
