"""Reports of saved views: they show what the page's cards show, for the role that asks."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from core.home import Home
from core.saved_views import SavedViews, View
from core.settings import Settings
from dashboard import filters
from dashboard.charts.style import ACCENT
from dashboard.data_source import DataSource
from dashboard.formatting import count
from dashboard.pages.features import csv_file, rows
from dashboard.pages.overview import lifecycle
from dashboard.permissions import PAGES, VIEWS
from dashboard.report import _cell
from dashboard.report_pictures import BEFORE, line_picture
from tests.dashboard.counted import YESTERDAY, answer_with, beacons, count_from
from tests.dashboard.test_drop import Hurt
from warehouse.queries import metrics

Visit = Callable[[str | None], FlaskClient]
REPORTED = [page for page in PAGES if page.reported]


def report(client: FlaskClient, credentials: Credentials, name: str) -> Any:
    token = credentials.add_token(Role.ADMIN)
    return client.get(VIEWS, query_string={"name": name}, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("page", REPORTED, ids=lambda page: page.name)
def test_each_page_of_figures_can_be_reported(visit: Visit, home: Home, credentials: Credentials, page: Any) -> None:
    """Each card says its figures or why there are none, in one file without scripts."""
    SavedViews(home.dashboard).save(View("admin", "Mine", page.path, "?module=a&php_series.lt=8.0&range=7d"))
    answer = report(visit(None), credentials, "Mine")
    assert answer.status_code == 200, answer.text
    said = ["a", "Last 7 days"]
    said += ["PHP &lt; 8.0"] if "filters" in page.controls else []
    said += ["Previous period"] if "compare" in page.controls else []
    assert f">{' · '.join(said)} · data up to" in answer.text
    assert answer.text.count("<section>") >= 1
    assert "<script" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")


def test_a_report_has_the_figures_of_the_page(
    visit: Visit, home: Home, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are written as on the page, and text is escaped."""
    answer_with("php_series", [("<b>8.2</b>", 1200), ("8.3", 800)], 2000, monkeypatch)
    SavedViews(home.dashboard).save(View("product", "Monday", "/", ""))
    text = report(visit(None), credentials, "Monday").text
    assert "<b>8.2" not in text
    assert "&lt;b&gt;8.2" in text
    for said in ("1\u202f200", "60%", "Active installs", "2\u202f000"):
        assert said in text, said


def test_a_share_is_rounded_once(
    visit: Visit, home: Home, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 of 908 are 0.551%: the page says 0.6%. Of a share that was rounded to 0.55% before, it would be 0.5%."""
    answer_with("php_series", [("8.2", 903), ("8.3", 5)], 908, monkeypatch)
    SavedViews(home.dashboard).save(View("product", "Monday", "/", ""))
    text = report(visit(None), credentials, "Monday").text
    assert "<td>0.6%</td>" in text
    assert "<td>0.5%</td>" not in text


@pytest.mark.parametrize(
    ("owner", "path", "said"), [("product", "/", True), ("admin", "/", False), ("product", "/platforms", False)]
)
@pytest.mark.parametrize("settings", [Settings(disclosure="strict")])
def test_a_report_says_what_mode_strict_leaves_out(
    visit: Visit,
    home: Home,
    credentials: Credentials,
    monkeypatch: pytest.MonkeyPatch,
    owner: str,
    path: str,
    said: bool,
) -> None:
    """By the role of the owner, as the page says it."""
    answer_with("php_series", [("8.2", 903), ("8.3", 5)], 908, monkeypatch)
    SavedViews(home.dashboard).save(View(owner, "Monday", path, ""))
    assert ("beacons Pharos received on one day only" in report(visit(None), credentials, "Monday").text) == said


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (View("product", "a", "/licensing", ""), "may not open"),
        (View("licensing", "a", "/licensing", ""), "has no report"),
        (View("product", "a", "/glossary", ""), "has no report"),
        (View("product", "a", "/", "?range=nope"), "is not valid"),
        (View("nobody", "a", "/", ""), "no user any more"),
    ],
)
def test_what_cannot_be_reported_is_said(
    visit: Visit, home: Home, credentials: Credentials, view: View, said: str
) -> None:
    """The role of the owner counts, not that of the token."""
    SavedViews(home.dashboard).save(view)
    answer = report(visit(None), credentials, "a")
    assert (answer.status_code, said in answer.json["detail"]) == (404, True), answer.json


def test_a_report_has_the_sentences_and_the_units_of_the_page(
    visit: Visit, home: Home, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Differences of shares are in points, a link is no column, and the charts by week and day are pictures."""

    def adoption(_data: Any, _args: Any, versions: Sequence[str]) -> dict[str, Any]:
        rows = [{"share": 0.5, "installs": 20, "of": 40}] * 9
        return {
            name: {"released": str(YESTERDAY - timedelta(days=9)), "released_by": "catalog", "rows": rows}
            for name in versions
        }

    sent = [*beacons(range(10), 30, "4.0.0"), *beacons(range(10, 40), 30, "3.3.0"), *beacons(range(40), 55, "3.3.0")]
    count_from([*sent, *beacons(range(19), 5, "4.0.0"), *beacons(range(19, 40), 5, "3.3.0")], monkeypatch)
    monkeypatch.setattr(DataSource, "adoption_of_each_version", adoption)
    monkeypatch.setattr(DataSource, "question", lambda *_: {"rows": []})
    SavedViews(home.dashboard).save(View("admin", "v1", "/versions", "?module=invoice_pro"))
    text = report(visit(None), credentials, "v1").text
    assert "<h2>The newest release</h2>" in text
    assert "<li>4.0.0 was released on" in text
    pictures = re.findall(r"<h2>([^<]+)</h2>(?:(?!<h2>).)*?<svg [^>]*aria-label=\"([^\"]+)\"", text, re.DOTALL)
    assert pictures == [
        ("Release watch", "Lines"), ("Versions by week", "Bars by week"), ("Adoption since the release", "Lines"),
    ]  # fmt: skip
    assert text.count("<summary>Table</summary>") == 3
    assert "<td>+22.5 points</td>" in text
    assert "<td>−22.5 points</td>" in text
    assert "what they run" not in text
    assert "drop?" not in text


@pytest.mark.parametrize(
    ("path", "search", "said"),
    [
        (
            "/",
            "",
            ["<h2>What changed</h2>", "<li>30 installs were active, 25.0% fewer than in the 28 days before (40).</li>"],
        ),
        ("/features", "", ["<td>1.0</td>", "<td>no change</td>", '<th scope="col" class=text>Feature</th>']),
        (
            "/feature",
            "?module=invoice_pro&name=a",
            ['installs<span class="value">100%</span>', "30 of 30 installs", "<p>Feature a · "],
        ),
    ],
)
def test_a_report_has_the_figures_of_every_kind_of_card(
    visit: Visit, home: Home, credentials: Credentials, monkeypatch: pytest.MonkeyPatch,
    path: str, search: str, said: list[str],
) -> None:  # fmt: skip
    """The sentences of Today, uses per install as a number, and the figures at the head of a feature's page."""
    count_from([*beacons(range(40), 52, "4.0.0", ["a"]), *beacons(range(30), 5, "4.0.0", ["a"])], monkeypatch)
    monkeypatch.setattr(lifecycle, "last_weeks", lambda *_: [])
    monkeypatch.setattr(DataSource, "question", lambda *_: {"rows": [], "installs": None, "of": None})
    SavedViews(home.dashboard).save(View("admin", "v1", path, search))
    text = report(visit(None), credentials, "v1").text
    for each in said:
        assert each in text
    titles = re.findall("<h2>(.*?)</h2>", text)
    assert titles.count("Figures") <= 1
    assert path != "/" or titles.index("What changed") < titles.index("Figures") < titles.index("What changed most")


def test_a_report_says_what_the_page_says_of_a_hidden_figure(
    visit: Visit, home: Home, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash alone would be taken for none."""
    count_from(beacons(range(40), 5, "4.0.0"), monkeypatch)
    monkeypatch.setattr(DataSource, "question", lambda _, name, args: Hurt().question(name, args))
    monkeypatch.setattr(DataSource, "drop_of_each_module", lambda _, *asked: Hurt().drop_of_each_module(*asked))
    SavedViews(home.dashboard).save(View("admin", "v1", "/drop", "?module=invoice_pro&php_series.lt=8.0"))
    text = re.sub(r">\s+<", "><", report(visit(None), credentials, "v1").text)
    assert '<th scope="row">3.3.1</th><td>not told</td><td>9</td><td>not told</td>' in text


def test_a_report_of_features_says_too_few_as_the_grid_does() -> None:
    """Only a change has a dash in both."""
    few = dict.fromkeys(csv_file._FIELDS, rows.FEW)
    found = csv_file.shown(rows.FeatureRows([few], []), filters.read("", YESTERDAY, YESTERDAY))
    assert {found.hidden.get(column) for column in found.columns if column != "Change"} == {"too few"}
    assert "Change" not in found.hidden


def test_numbers_have_the_format_of_the_page() -> None:
    """From a hundred on without decimals; what is hidden has its word, and otherwise a dash."""
    cells = [(1938.857, "number"), (4.23, "number"), (0.45, None), (0.05, "points"), (12345, None)]
    shown = [_cell(value, unit, "–") for value, unit in cells]  # type: ignore[arg-type]
    assert shown == [count(1939), "4.2", "45%", "+5 points", count(12345)]
    assert [_cell(None, None, hidden) for hidden in ("–", "not told")] == ["–", "not told"]


def test_only_an_admin_token_gets_reports(visit: Visit, home: Home, credentials: Credentials) -> None:
    """Views belong to users."""
    token = credentials.add_token(Role.PRODUCT)
    assert visit(None).get(VIEWS, headers={"Authorization": f"Bearer {token}"}).status_code == 403


def test_a_line_has_gaps_where_figures_are_missing() -> None:
    """A single point is a dot, and no figure at all is no picture."""
    picture = line_picture([("a", 1), ("b", 2), ("c", None), ("d", 3)])
    assert picture.count("<polyline") == 1
    assert picture.count("<circle") == 1
    assert line_picture([]) == ""
    assert line_picture([("a", None)]) == ""
    assert line_picture([("a", None, "b", 4)]) == ""


def test_a_line_has_its_scale_and_the_period_before() -> None:
    """The highest figure of both, the first and the last date; the other period is in the background."""
    picture = line_picture([("2026-11-01", 500, "2026-10-01", 1000), ("2026-11-02", 700, "2026-10-02", None)])
    for text in (count(1000), "2026-11-01", "2026-11-02"):
        assert f">{text}<" in picture
    assert picture.index(f"color: {BEFORE}") < picture.index(f"color: {ACCENT}")
    assert picture.count("<polyline") == picture.count("<circle") == 1


def test_a_line_of_shares_is_not_drawn_on_the_scale_of_counts() -> None:
    """Beside a share there may be the counts that it is made of. The picture has the share alone."""
    picture = line_picture([("2026-11-01", 0.8, 80, 100), ("2026-11-02", 1.0, 90, 90)])
    assert picture.count("<polyline") == 1
    assert ">100%<" in picture
    assert BEFORE not in picture


def test_a_page_that_asks_for_a_module_says_so(
    visit: Visit, home: Home, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cards are hidden on the page, so they are not in the report either."""
    answer = {"rows": [{"bucket": "2026-11-01", "key": "invoice_pro", "value": 40}], "fresh_to": None}
    monkeypatch.setattr(metrics, "answer", lambda *_, **__: answer)
    SavedViews(home.dashboard).save(View("product", "All", "/versions", ""))
    text = report(visit(None), credentials, "All").text
    assert text.count("<section>") == 1
    assert "<p>Choose a module. This page is about one module.</p>" in text
