"""The frame of every page in a real browser: filters in the address, chips, what cards offer, saved views, reports."""

import csv
import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from dashboard.filters import RANGES, span
from dashboard.formatting import day
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, System, running, wait_for
from tests.end_to_end.test_browser import admin, browser, tab
from tests.end_to_end.test_browser_filters import CALLBACKS, choose, choose_module, wait_until_held
from tests.fleet.cards import in_file

__all__ = ["admin", "browser", "tab"]
TODAY = datetime.now(UTC).date()
# What happens in the browser and in the dashboard is the same with every ClickHouse.
in_the_browser = pytest.mark.parametrize("system", ["embedded"], indirect=True)


@pytest.fixture(scope="module", params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two modules on three PHP versions, yesterday and the day before, and six installs of today alone. All loaded."""
    with running(tmp_path_factory.mktemp("frame") / "home", request.param) as system:
        now = datetime.now(UTC)
        for module, php, installs in (
            ("invoice_pro", "7.4.33", 6),
            ("invoice_pro", "8.2.12", 9),
            ("ticket_ai", "8.3.1", 7),
        ):
            for _ in range(installs):
                one = beacon(module={"name": module, "version": "1.1.1"})
                sent = [{**one, "beacon_id": beacon()["beacon_id"], "sent_at": (now - timedelta(days=back)).isoformat(),
                         "platform": {**one["platform"], "php": php}} for back in (1, 2)]  # fmt: skip
                assert system.post(sent)[1]["accepted"] == 2
        today = [beacon(module={"name": "ticket_ai", "version": "1.1.1"}) for _ in range(6)]
        assert system.post(today)[1]["accepted"] == 6
        token = system.run("tokens", "new", "--role", "build").stdout.decode().strip()
        release = {"module": "invoice_pro", "version": "1.1.1", "released": (TODAY - timedelta(days=2)).isoformat()}
        request_ = urllib.request.Request(
            f"{system.dashboard}/api/v1/releases",
            json.dumps(release).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        system.read("/api/v1/releases")  # once this new token is known, the other is
        assert json.loads(urllib.request.urlopen(request_, timeout=60).read()) == {"stored": 1}
        system.drain()
        yield system


@pytest.fixture
def page(system: System, tab: Page) -> Page:
    """The home page."""
    tab.goto(system.dashboard)
    expect(tab.locator("#active_installs-value")).to_have_text("22")
    return tab


def shown(page: Page, search: str) -> None:
    """Wait until the page has these parameters in its address."""
    page.wait_for_function("search => window.location.search === search", arg=search)


@in_the_browser
def test_relative_ranges_stay_relative_and_end_yesterday(page: Page) -> None:
    """Each preset shows the server's days in the date picker, and the address names the preset alone."""
    for name, label in RANGES.items():
        choose(page, "Range", label)
        page.wait_for_function("name => location.search.includes(name) || name === '28d'", arg=name)
        start, end = span(name, TODAY, with_today=False)
        expect(page.locator("#range-days")).to_have_text(f"{day(start)} – {day(end)}")
        assert "from=" not in page.url
        assert label in page.title()
    expect(page.locator("#range-days")).to_have_attribute(
        "aria-label", f"{day(start)} – {day(end)} (first and last day, UTC)"
    )
    page.get_by_label("Include today").click()
    expect(page.locator("#active_installs-value")).to_have_text("28")
    assert parse_qs(urlsplit(page.url).query)["today"] == ["yes"]


@in_the_browser
def test_filters_stack_and_survive_reload_back_and_forward(page: Page, system: System) -> None:
    """A picked condition and a chosen value become chips. A link pushes history, and a refinement does not."""
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_label("Filter by").first.click()
    page.get_by_role("option", name="PHP", exact=True).click()
    page.get_by_label("Condition").first.click()
    page.get_by_role("option", name="from", exact=True).click()
    page.get_by_label("Value").first.fill("8.0")
    page.get_by_role("button", name="Add filter").click()
    expect(page.get_by_role("button", name="Remove filter PHP ≥ 8.0")).to_be_visible()
    expect(page.locator("#active_installs-value")).to_have_text("16")
    values = page.locator("#installs_by_php_series-body")
    expect(values).not_to_contain_text("7.4")
    values.get_by_role("link", name="8.3").press("Enter")
    expect(page.get_by_role("button", name="Remove filter PHP: 8.3")).to_be_visible()
    expect(page.locator("#active_installs-value")).to_have_text("7")
    search = urlsplit(page.url).query
    assert parse_qs(search) == {"php_series.ge": ["8.0"], "php_series": ["8.3"]}
    page.get_by_role("link", name="Features").click()
    page.wait_for_url("**/features?*")
    assert urlsplit(page.url).query == search
    page.reload()
    expect(page.get_by_role("button", name="Remove filter PHP: 8.3")).to_be_visible()
    page.get_by_role("button", name="Remove filter PHP: 8.3").click()
    shown(page, "?php_series.ge=8.0")
    page.go_back()
    page.wait_for_url(f"{system.dashboard}/?*")
    assert urlsplit(page.url).query == search
    expect(page.locator("#active_installs-value")).to_have_text("7")
    page.go_forward()
    shown(page, "?php_series.ge=8.0")


@in_the_browser
def test_a_name_that_nobody_knows_is_shown_as_not_applied(page: Page, system: System) -> None:
    """It is neither dropped nor does it change a figure."""
    page.goto(f"{system.dashboard}/?php_serie.lt=8.0&range=7d")
    expect(page.locator(".chip.unknown")).to_contain_text("php_serie.lt=8.0 (unknown, not applied)")
    expect(page.locator("#active_installs-value")).to_have_text("22")
    page.locator(".chip.unknown").click()
    shown(page, "?range=7d")


def read_csv(page: Page, name: str) -> list[list[str]]:
    with page.expect_download() as download:
        page.locator(f"#{name}-card [data-file=csv]").click()
    assert download.value.suggested_filename.startswith(f"pharos-{name}-")
    return list(csv.reader(StringIO(download.value.path().read_text(encoding="utf-8-sig"))))


def read_table(page: Page, name: str) -> list[list[str]]:
    page.locator(f"#{name}-card summary").click()
    table = page.locator(f"#{name}-table table")
    expect(table).to_be_visible()
    return table.locator("tr").evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")  # type: ignore[no-any-return]


def called(page: Page, system: System, name: str) -> list[list[dict[str, Any]]]:
    """The answers to the calls of the read API that a card names."""
    answers = []
    for text in page.locator(f"#{name}-card .api-call code").all_inner_texts():
        call = urlsplit(text.removeprefix("GET "))
        given = {key: value for key, (value,) in parse_qs(call.query).items()}
        status, answer = system.read(call.path, **given)
        assert status == 200, answer
        answers.append(answer["rows"])
    return answers


@pytest.mark.parametrize("search", ["", "?module=invoice_pro&today=yes", "?php_series.lt=8.3&range=7d"])
def test_a_file_is_what_is_shown_and_what_the_api_answers(page: Page, system: System, search: str) -> None:
    """The CSV file, the table behind the chart and the named calls of the read API have the same numbers."""
    page.goto(f"{system.dashboard}/{search}")
    expect(page.locator("#installs_by_php_series-body")).to_contain_text("8.2")
    header, *rows = read_csv(page, "installs_by_php_series")
    assert header == ["PHP", "Installs", "Share"]
    assert read_table(page, "installs_by_php_series") == [header, *rows]
    (groups,) = called(page, system, "installs_by_php_series")
    assert [(key, int(count)) for key, count, _ in rows] == [(row["key"], row["value"]) for row in groups]
    total = sum(row["value"] for row in groups)
    assert all(float(share) == in_file(int(count) / total) for _, count, share in rows)
    header, *days = read_csv(page, "installs_per_bucket")
    assert read_table(page, "installs_per_bucket")[1:] == [
        [cell or "–" for cell in row[:-1]] + row[-1:] for row in days
    ]
    (by_day,) = called(page, system, "installs_per_bucket")[:1]
    assert [(row[0], row[1]) for row in days] == [(row["bucket"], str(row["value"] or "")) for row in by_day]


@in_the_browser
@pytest.mark.parametrize("name", ["installs_per_bucket", "installs_by_os"])
def test_a_card_is_a_picture_with_its_title(page: Page, name: str) -> None:
    """The PNG file is made in the browser, without a request."""
    expect(page.locator(f"#{name}-card")).to_contain_text(re.compile("\\d"))
    with page.expect_download() as download:
        page.locator(f"#{name}-card [data-file=png]").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_release_is_marked(page: Page, system: System) -> None:
    """What a build server reported is on the time axis, and in words."""
    page.goto(f"{system.dashboard}/?module=invoice_pro")
    expect(page.locator("#installs_per_bucket .annotation")).to_have_text("1.1.1")
    expect(page.locator("#installs_per_bucket-note")).to_contain_text("Dotted marks: releases of invoice_pro (1.1.1 on")


def test_what_was_rejected_is_told_by_reason_and_field(page: Page, system: System) -> None:
    """Soon after it was rejected, also today; nothing of the beacon itself."""
    for _ in range(3):
        assert system.post(beacon(module={"name": "Somebody's Module", "version": "1"}))[0] == 422
    row = page.locator("#data-rejected-body tr", has_text="module.name")

    def told() -> bool:
        page.goto(f"{system.dashboard}/data")
        expect(page.locator("#data-rejected-message .empty, #data-rejected-body tbody")).to_be_visible()
        return row.locator("td").all_text_contents()[:2] == ["module.name", "3"]

    wait_for(told, "the rejections")
    expect(row.locator("th")).to_have_text("bad_format")
    assert "Somebody" not in page.content()


def test_a_view_is_saved_opened_reported_and_deleted(page: Page, system: System, tmp_path: Path) -> None:
    """The menu lists it, its link opens it, and `pharos report` writes the same figures into one file."""
    choose_module(page, "invoice_pro")
    expect(page.locator("#active_installs-value")).to_have_text("15")
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Save this view as").fill("Monday")
    page.get_by_role("button", name="Save view").click()
    expect(page.locator(".view-link")).to_have_text("Monday")
    page.goto(f"{system.dashboard}/features")
    page.get_by_role("button", name="Views").click()
    page.locator(".view-link").click()
    page.wait_for_url(f"{system.dashboard}/?module=invoice_pro")
    expect(page.locator("#active_installs-value")).to_have_text("15")
    expect(page.locator(".view-link")).to_be_hidden()  # the menu does not cover what it opened
    out = tmp_path / "report.html"
    done = system.run("report", "--view", "Monday", "--out", str(out))
    assert done.returncode == 0, done.stderr
    text = out.read_text()
    assert "<script" not in text
    file = page.context.new_page()
    asked: list[str] = []
    file.on("request", lambda request: asked.append(request.url))
    file.goto(out.as_uri())
    expect(file.locator("body")).to_contain_text("15")
    expect(file.locator("section", has_text="PHP versions").locator("tbody tr").first).to_contain_text("8.2")
    assert asked == [out.as_uri()]
    file.close()
    printed = system.run("report", "--view", "Monday", "--out", str(tmp_path / "report.pdf"))
    assert printed.returncode == 0, printed.stderr
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    wrong = system.run("report", "--view", "Tuesday", "--out", str(out))
    assert (wrong.returncode, wrong.stderr.decode().strip()) == (1, "pharos: there is no view Tuesday")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Delete the view Monday").click()
    expect(page.locator("#views-list")).to_contain_text("No saved views yet")


def output(request: Request) -> str:
    """What a callback's request is for."""
    return str((request.post_data_json or {})["output"])


@in_the_browser
def test_what_is_in_view_is_asked_for_first(page: Page) -> None:
    """The rest follows once that is answered, or when it is scrolled into view."""
    asked: list[str] = []

    def begun(name: str) -> bool:
        page.wait_for_timeout(50)  # lets the page send requests
        return any(f"..{name}-message." in output for output in asked)

    page.set_viewport_size({"width": 1280, "height": 720})
    for last in ("installs_by_whmcs_series-body", "installs_by_version-body"):
        expect(page.locator(f"#{last} table")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.on("request", lambda request: asked.append(output(request)) if "_dash-update" in request.url else None)
    page.route(CALLBACKS, lambda _route: None)  # no request goes on
    page.evaluate("window.dash_clientside.pharos.refine({ range: '7d' })")
    wait_for(lambda: begun("overview-figures"), "the figures to be asked for")
    assert not begun("installs_by_whmcs_series")
    page.set_viewport_size({"width": 1280, "height": 200})  # so little that no two rows of cards are in view
    page.locator("#installs_by_whmcs_series-card").scroll_into_view_if_needed()
    wait_for(lambda: begun("installs_by_whmcs_series"), "what was scrolled to")
    assert not begun("installs_by_version")
    page.unroute(CALLBACKS)  # all go on
    wait_for(lambda: begun("installs_by_version"), "the rest")


# What React does: it subscribes to the state, and looks at it whenever it is told of a change.
CHANGES = """() => new Promise((done) => {
  const [store] = window.dash_stores;
  const told = { alone: 0, typed: 0 };
  let during = "alone";
  const end = store.subscribe(() => (told[during] += 1));
  const change = () => { for (let times = 0; times < 200; times += 1) store.dispatch({ type: "TEST" }); };
  change();
  setTimeout(() => {
    during = "typed";
    document.addEventListener("keydown", change, { once: true });
    document.dispatchEvent(new KeyboardEvent("keydown"));
    end();
    done(told);
  }, 50);
})"""


@in_the_browser
def test_react_is_told_of_many_changes_at_once(page: Page) -> None:
    """Except of those that a user makes, which an input must show before the next one."""
    told = page.evaluate(CHANGES)
    assert told["alone"] < 10  # those of the page itself come on top
    assert told["typed"] == 200


@in_the_browser
def test_a_newer_filter_ends_the_requests_of_the_one_before(page: Page) -> None:
    """Nobody waits for them any more. The page shows the newer one, and no error."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "module=ticket_ai" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.wait_for_load_state("networkidle")
    page.route(CALLBACKS, hold)
    page.evaluate("window.dash_clientside.pharos.refine({ module: 'ticket_ai' })")
    wait_until_held(page, held, 2)
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(output(request)))
    before = {output(route.request) for route in held}
    page.evaluate("window.dash_clientside.pharos.refine({ module: 'invoice_pro' })")
    expect(page.locator("#active_installs-value")).to_have_text("15")
    assert before <= {*ended}
    expect(page.locator(".notice")).to_have_count(0)


@in_the_browser
def test_a_dark_page_is_printed_in_light_colors(page: Page) -> None:
    """Light letters on paper are not read. The screen is dark again afterwards."""
    page.emulate_media(color_scheme="dark")
    root = page.locator("html[data-mantine-color-scheme=dark]")
    expect(root).to_have_count(1)
    page.evaluate("addEventListener('beforeprint', () => { window.printed = getComputedStyle(document.body).color; })")
    screen = page.evaluate("getComputedStyle(document.body).color")
    page.pdf()
    assert page.evaluate("window.printed") != screen
    expect(root).to_have_count(1)
    page.emulate_media(color_scheme="light")
