"""Delivery of scripts and styles."""

import gzip
from collections.abc import Callable

from flask.testing import FlaskClient

from dashboard.script_assets import PLOTLY

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


def test_pages_and_figures_are_not_kept(visit: Visit) -> None:
    """Pages and figures are not cached, so that the back button shows nothing after a logout."""
    client = visit("product")
    for path in ("/", "/_dash-layout"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


def test_all_scripts_and_styles_come_from_here(visit: Visit) -> None:
    """All scripts and styles come from this host: the dashboard works without internet access."""
    page = visit("product").get("/").text
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "plotly/package_data/plotly.min.js" in visit("product").get("/").headers["Link"]
