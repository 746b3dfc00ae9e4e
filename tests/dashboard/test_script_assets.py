"""Delivery of scripts and styles."""

import gzip
import json
import logging
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import brotli
import pytest
from flask.testing import FlaskClient

from dashboard import mantine
from dashboard.permissions import PAGES
from dashboard.script_assets import CHART_PAGES, GRID_PAGES, GRIDS, PLOTLY, PackedScripts, small_plotly
from tests.dashboard.conftest import call, output_of
from tests.end_to_end.system import wait_for

ROOT = Path(__file__).parents[2]
Visit = Callable[[str | None], FlaskClient]


def test_scripts_are_sent_small_and_only_when_they_changed(visit: Visit) -> None:
    """Scripts are compressed and cached: they have five megabytes."""
    client = visit("product")
    plain = client.get(PLOTLY)
    packed = client.get(PLOTLY, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data) / 2
    assert gzip.decompress(packed.data) == plain.data
    assert client.get(PLOTLY, headers={"If-None-Match": packed.headers["ETag"]}).status_code == 304


def test_a_browser_that_knows_brotli_gets_it(visit: Visit) -> None:
    """Brotli is a tenth smaller than gzip."""
    plain = visit("product").get(PLOTLY)
    packed = visit("product").get(PLOTLY, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "br"
    assert brotli.decompress(packed.data) == plain.data
    assert visit(None).get(PLOTLY).status_code == 401


def test_a_script_is_packed_better_once_a_second_browser_asks() -> None:
    """One that is asked for once costs no more than its first answer."""
    packed, script = PackedScripts(), (ROOT / "CHANGELOG.md").read_bytes()
    first, other = packed.get("/a", "br", script), packed.get("/b", "br", script)
    assert packed.get("/a", "br", script) in (first, brotli.compress(script, quality=10))
    wait_for(lambda: len(packed.get("/a", "br", script)) < len(first), "the smaller one")
    assert packed._scripts["/b", "br"] == other == first
    assert brotli.decompress(packed.get("/a", "br", script)) == script


def test_text_is_compressed_but_no_page(visit: Visit) -> None:
    """Layouts and figures are small on the wire. HTML is not compressed: its token could be guessed (BREACH)."""
    client, browser = visit("product"), {"Accept-Encoding": "gzip, br"}
    assert client.get("/_dash-layout", headers=browser).headers["Content-Encoding"] == "br"
    assert client.get("/", headers=browser).headers.get("Content-Encoding") is None
    assert visit(None).get("/login", headers=browser).headers.get("Content-Encoding") is None


def test_pages_and_figures_are_not_kept(visit: Visit) -> None:
    """Pages and figures are not cached, so that the back button shows nothing after a logout."""
    client = visit("product")
    for path in ("/", "/_dash-layout"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


def test_pages_with_a_chart_or_a_grid_load_its_script_with_the_page(visit: Visit) -> None:
    """The others do not load it at all."""
    layouts = {page.path: import_module(f"dashboard.pages.{page.name}").layout for page in PAGES if not page.within}
    with visit("admin").application.test_request_context():
        for component, pages in (("Graph(", CHART_PAGES), ("AgGrid(", GRID_PAGES)):
            assert {path for path, layout in layouts.items() if component in repr(layout())} == set(pages)
    for path in layouts:
        answer = visit("admin").get(path)
        assert (f"<{PLOTLY}>" in answer.headers.get("Link", "")) == (path in CHART_PAGES)
        assert (f"<{GRIDS}>" in answer.headers.get("Link", "")) == (path in GRID_PAGES)
        assert 'src="/_dash-component-suites/dash_ag_grid' not in answer.text


def test_the_first_page_with_a_grid_brings_the_script_of_grids(visit: Visit) -> None:
    """The router names it in its answer, once: the browser says whether it has it."""
    client = visit("admin")
    output = output_of(client, "page")
    for path, loaded, wanted in (("/", [], []), ("/features", [], [GRIDS]), ("/features", [GRIDS], [])):
        answer = call(client, output, {"url.pathname": path}, {"loaded-scripts.data": loaded}).get_json()
        assert [one["url"] for one in answer.get("dist", [])] == wanted
        assert answer["response"]["loaded-scripts"]["data"] == loaded + wanted
    assert client.get(GRIDS).status_code == 200


@pytest.mark.parametrize("path", ["x/y.js", "dash/no_such_file.js", "dash_ag_grid/x.js"])
def test_a_script_that_does_not_exist_is_404(visit: Visit, caplog: pytest.LogCaptureFixture, path: str) -> None:
    """And no error in the log."""
    assert visit("product").get(f"/_dash-component-suites/{path}").status_code == 404
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_all_scripts_and_styles_come_from_here(visit: Visit) -> None:
    """All scripts and styles come from this host: the dashboard works without internet access."""
    page = visit("product").get("/").text
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "plotly/package_data/plotly.min.js" in visit("product").get("/").headers["Link"]


def test_the_small_charts_are_sent_if_they_are_there(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the small edition of plotly.js was fetched, browsers get it, with its own tag. Without it the whole one."""
    small = tmp_path / "plotly-basic.min.js"
    assert small_plotly(small) is None
    small.write_bytes(b"/**\n* plotly.js (basic - minified) v0.0.1\n*/")
    assert small_plotly(small) is None  # another version than that of the package
    lock = json.loads((ROOT / "deploy/charts/package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())
    fetched = packages["node_modules/plotly.js-basic-dist-min"]
    script = f"/**\n* plotly.js (basic - minified) v{fetched['version']}\n*/{'x' * 3000}".encode()
    small.write_bytes(script)
    monkeypatch.setattr("dashboard.script_assets.SMALL_PLOTLY", small)
    visit: Visit = request.getfixturevalue("visit")
    sent = visit("product").get(PLOTLY, headers={"Accept-Encoding": "br"})
    assert brotli.decompress(sent.data) == script
    assert visit("product").get(PLOTLY, headers={"If-None-Match": sent.headers["ETag"]}).status_code == 304
    assert visit(None).get(PLOTLY).status_code == 401


def test_only_the_components_that_pages_use_are_imported() -> None:
    """Mantine has six times as many, which the dashboard would import at each start."""
    names = (name.partition("dash_mantine_components.")[2] for name in sys.modules)
    assert {name for name in names if name[:1].isupper()} == set(mantine.__all__)
