"""The country of an install, from its address to the figures."""

import json
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from dashboard.countries import ATLAS, outlines
from tests.collector.mmdb import mmdb
from tests.end_to_end.axe import violations
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, KEY, PASSWORD, System, fetch, running
from tests.end_to_end.test_browser import browser, logged_in

__all__ = ["browser"]

COUNTRIES = mmdb(
    {
        "198.51.100.0/24": {"country": {"iso_code": "NL"}},
        "2001:db8:1::/48": {"country": {"iso_code": "DE"}},
        "192.0.2.0/24": {"country": {"iso_code": "FR"}},
    }
)

# The color of a picture at a dot of the map, which is 110 lower below its heading, and whether anything has step 1.
PIXELS = """async ([href, [x, y]]) => {
    const image = new Image();
    image.src = href;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const paper = canvas.getContext("2d");
    paper.drawImage(image, 0, 0);
    const { data } = paper.getImageData(0, 110, image.width, 600);
    const colored = data.some((red, at) => at % 4 === 0 && red === 201 && data[at + 1] === 213 && data[at + 2] === 252);
    return { dot: [...paper.getImageData(x, y + 110, 1, 1).data], colored };
}"""


@pytest.fixture(scope="module", params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system behind a proxy, with 9 installs in the Netherlands, 6 in Germany, 2 in France and 5 without a
    country."""
    folder = tmp_path_factory.mktemp("country")
    (folder / "countries.mmdb").write_bytes(COUNTRIES)
    settings = {"PHAROS_COUNTRY_DATABASE": str(folder / "countries.mmdb"), "PHAROS_TRUSTED_PROXIES": "1"}
    with running(folder / "home", request.param, **settings) as system:
        for count, address in ((9, "198.51.100.{}"), (6, "2001:db8:1::{}"), (2, "192.0.2.{}"), (5, "203.0.113.{}")):
            for number in range(1, count + 1):
                post(system, address.format(number))
        system.drain()
        yield system


def post(system: System, address: str) -> None:
    """Post a beacon of a new install from this address."""
    headers = {
        "Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "X-Forwarded-For": address,
    }  # fmt: skip
    one = beacon(license={"status": "unlicensed", "source": "whmcs-addon-modules"})
    request = urllib.request.Request(f"{system.collector}/v1/beacons", json.dumps(one).encode(), headers)
    assert fetch(request)[0] == 202


def test_installs_are_counted_by_country(system: System) -> None:
    """A country under k installs is folded with the next smallest. Installs without a country are in no group."""
    rows = system.rows("installs", by="country", grain="period")
    assert [(row["key"], row["value"]) for row in rows] == [("NL", 9), ("(other)", 8)]
    assert system.rows("installs", grain="period")[0]["value"] == 22


def test_a_country_is_a_filter_in_both_planes(system: System) -> None:
    """The country filters usage and license figures. A folded country has no value."""
    assert [row["value"] for row in system.rows("installs", by="php", country="NL", grain="period")] == [9]
    assert [row["value"] for row in system.rows("feature_installs", country="NL", grain="period")] == [9]
    assert [row["value"] for row in system.rows("feature_installs", country="DE", grain="period")] == [None]
    by_source = system.rows("installs", by="license_source", country="NL", grain="period")
    assert [(row["key"], row["value"]) for row in by_source] == [("whmcs-addon-modules", 9)]


def test_licensing_rows_have_their_country(system: System) -> None:
    """A license row has the country of its address, or null."""
    status, page = system.read("/api/v1/licensing/installs")
    assert status == 200
    expected = {"198": "NL", "2001": "DE", "192": "FR", "203": None}
    assert len(page["rows"]) == 22
    for row in page["rows"]:
        assert row["country"] == expected[row["ip"].replace(":", ".").partition(".")[0]], row["ip"]


def test_a_country_is_colored_on_the_map(system: System, browser: Browser) -> None:
    """From the posted beacon to the map: a country has its color, its text and its filter; folded ones have none.

    The card has the same as a table, as a CSV file and as a picture. No request leaves the machine.
    """
    outlines_there = outlines(ATLAS)
    if outlines_there is None:
        pytest.skip("deploy/charts.sh could not fetch the outlines")
    page = logged_in(browser, system, "admin", PASSWORD, "/glossary")
    hosts: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
    page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
    page.goto(f"{system.dashboard}/platforms")
    world = page.locator("#platforms-country-map.drawn")
    netherlands = world.locator("[data-country=NL]")
    expect(netherlands).to_have_class("step-1")
    expect(world.locator("[class^=step]")).to_have_count(1)
    expect(world.locator(".world [data-country=FR]")).to_have_attribute("data-text", "France: none, or too few to show")
    expect(page.locator("#platforms-country-note")).to_contain_text("17 of 22 active installs report it.")
    expect(page.locator("#platforms-country-note")).to_contain_text("8 installs of countries with too few to show")
    netherlands.hover()
    expect(world.locator(".map-label")).to_have_text("Netherlands: 9 installs, 53%")
    with page.expect_download() as table:
        page.get_by_role("button", name="Download Country as CSV").click()
    lines = table.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines == ['"Code","Country","Installs","Share"', '"NL","Netherlands",9,0.5294', '"(other)","",8,0.4706']
    with page.expect_download() as picture:
        page.get_by_role("button", name="Download Country as PNG").click()
    drawn = f"data:image/png;base64,{b64encode(picture.value.path().read_bytes()).decode()}"
    colors = page.evaluate(PIXELS, [drawn, outlines_there["dots"]["BM"]])
    assert colors == {"dot": [255, 255, 255, 255], "colored": True}  # without a figure a dot is not drawn
    assert violations(page) == []
    netherlands.click()
    expect(page.get_by_role("button", name="Remove filter Country: NL")).to_be_visible()
    expect(page.locator("#platforms-country-body").get_by_role("link")).to_have_text(["Netherlands (NL)"])
    assert hosts <= {"127.0.0.1", ""}  # a picture of the page itself has no host
    assert errors == []
    page.context.close()
