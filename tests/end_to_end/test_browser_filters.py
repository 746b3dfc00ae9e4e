"""Filters in a real browser: pages show what the address says, and a filter change mounts nothing again."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from core.access_log import AccessLog, AccessLogEntry
from core.home import Home, derive
from tests.end_to_end.beacons import beacon
from tests.end_to_end.screens import BUSY
from tests.end_to_end.system import System, running, wait_for
from tests.end_to_end.test_browser import admin, browser, tab

__all__ = ["admin", "browser", "tab"]
CALLBACKS = "**/_dash-update-component*"
# Marks what is mounted now; what is mounted later has no mark.
MARK = "() => document.querySelectorAll('.js-plotly-plot, .ag-root, .card').forEach((one) => (one.marked = true))"
UNMARKED = (
    "() => [...document.querySelectorAll('.js-plotly-plot, .ag-root, .card')].filter((one) => !one.marked).length"
)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Six installs of one module, seven of another, and an unlicensed one, all loaded.

    On the embedded engine alone: all of this happens in the browser and in the dashboard.
    """
    with running(tmp_path_factory.mktemp("filters") / "home", "embedded") as system:
        for name, version, installs in (("invoice_pro", "1.1.1", 6), ("ticket_ai", "2.2.2", 7)):
            module = {"name": name, "version": version}
            beacons = [beacon(module=module, features={f"{name}.used": 3}) for _ in range(installs)]
            assert system.post(beacons)[1]["accepted"] == installs
        system.drain()
        yield system


@pytest.fixture
def page(tab: Page, system: System) -> Page:
    """The home page."""
    tab.goto(system.dashboard)
    expect(versions(tab)).to_contain_text("1.1.1")
    return tab


def mark(page: Page) -> None:
    """Mark what is mounted, once all is drawn: charts come after the figures."""
    expect(page.locator(BUSY)).to_have_count(0)
    page.evaluate(MARK)


def choose_module(page: Page, name: str) -> None:
    """Select a module in the filter."""
    page.locator("#module-filter").click()
    page.get_by_role("option", name=name).click()
    page.wait_for_url(f"**module={name}*")


def choose(page: Page, label: str, option: str) -> None:
    """Select an option of a control of the filter bar."""
    page.get_by_role("combobox", name=label, exact=True).or_(page.get_by_label(label, exact=True)).first.click()
    page.get_by_role("option", name=option, exact=True).click()


def versions(page: Page) -> Any:
    return page.locator("#installs_by_version-body")


def test_a_filter_mounts_no_graph_again(page: Page) -> None:
    """Filter changes set properties, and mount no graph, card or grid. Each replaces the address."""
    mark(page)
    history = page.evaluate("history.length")
    choose_module(page, "ticket_ai")
    expect(versions(page)).not_to_contain_text("1.1.1")
    expect(page.locator("#active_installs-value")).to_have_text("7")
    choose(page, "Range", "Last 7 days")
    page.wait_for_url("**range=7d*")
    choose_module(page, "invoice_pro")
    expect(versions(page)).to_contain_text("1.1.1")
    assert page.evaluate(UNMARKED) == 0
    assert page.evaluate("history.length") == history


def test_filters_are_added_and_removed_by_keyboard_without_losing_the_focus(tab: Page, system: System) -> None:
    """Tab goes from field to field. What has the focus and goes away hands it to what is next to it."""
    tab.goto(f"{system.dashboard}/platforms?os=debian&arch=x86_64")
    focused = tab.locator(":focus")
    expect(tab.locator("[data-filter]")).to_have_count(2)
    expect(tab.locator(BUSY)).to_have_count(0)
    tab.locator("#filter-picker-target").focus()
    tab.keyboard.press("Enter")
    for name in ("filter-name", "filter-condition", "filter-value", "filter-add"):
        expect(focused).to_have_attribute("id", name)
        tab.keyboard.press("Tab")
    tab.locator("#filter-add").focus()
    tab.keyboard.press("Enter")
    expect(focused).to_have_attribute("id", "filter-name")  # nothing is chosen yet
    tab.keyboard.press("Escape")
    tab.locator("[data-filter=os]").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("[data-filter]")).to_have_count(1)
    expect(focused).to_have_attribute("data-filter", "arch")
    tab.keyboard.press("Enter")
    expect(tab.locator("[data-filter]")).to_have_count(0)
    expect(focused).to_have_attribute("id", "filter-picker-target")


def test_a_link_that_refines_the_page_keeps_the_focus_in_its_card(page: Page, system: System) -> None:
    """Its row moves up, and the focus with it. Without a table it goes to the filter that was added."""
    focused = page.locator(":focus")
    links = versions(page).get_by_role("link")
    expect(links).to_have_text(["ticket_ai 2.2.2", "invoice_pro 1.1.1"])
    links.last.press("Enter")
    expect(links).to_have_text(["1.1.1"])
    expect(focused).to_have_text("1.1.1")
    page.goto(f"{system.dashboard}/versions")
    page.locator("a.offer").first.press("Enter")
    expect(focused).to_have_attribute("id", "module-filter")


def test_the_features_grid_follows_the_filter(tab: Page, system: System) -> None:
    """The grid reloads its rows and is not mounted again."""
    tab.goto(f"{system.dashboard}/features")
    grid = tab.locator("#features-grid")
    expect(grid).to_contain_text("invoice_pro.used")
    mark(tab)
    choose_module(tab, "ticket_ai")
    expect(grid).to_contain_text("ticket_ai.used")
    expect(grid).not_to_contain_text("invoice_pro.used")
    assert tab.evaluate(UNMARKED) == 0


@pytest.mark.parametrize(
    "address",
    [
        "/?module=nope",
        "/features?module=nope",
        "/licensing/installs?module=nope",
        "/licensing/installs?status=nope,trial",
        "/?grain=nope",
        "/?range=3d",
        "/?compare=nope&php_series.lt=8.0",
        "/?from=2026-11-20&to=2026-11-02",
        "/?from=nope&module=ticket_ai",
    ],
)
def test_an_address_is_not_changed_by_reading_it(tab: Page, system: System, address: str) -> None:
    """An address with an unknown value stays as it is, and the page says that the value is unknown."""
    before = accesses(system)
    tab.goto(system.dashboard + address)
    message = tab.locator(".empty:visible, #page-content .notice:visible").first
    expect(message).to_be_visible()
    tab.wait_for_load_state("networkidle")
    assert tab.url == system.dashboard + address
    if "module=nope" in address:
        expect(tab.get_by_label("Module", exact=True).first).to_have_value("nope (no figures)")
        expect(message).to_contain_text("nope")
    queries = [entry.question for entry in accesses(system)[: len(accesses(system)) - len(before)]]
    assert all(query.get("module") == "nope" for query in queries), "nothing else of the license plane was read"


def test_a_control_still_changes_an_address_with_an_unknown_value(tab: Page, system: System) -> None:
    """A selection replaces the unknown value."""
    tab.goto(f"{system.dashboard}/?module=nope")
    expect(tab.locator("#overview-message")).to_contain_text("No figures for the module")
    choose_module(tab, "invoice_pro")
    expect(tab.locator("#active_installs-value")).to_have_text("6")


@pytest.mark.parametrize("failure", ["server error", "connection refused", "not JSON"])
def test_a_callback_that_fails_hides_the_old_figures(page: Page, failure: str) -> None:
    """A card that cannot be read says so, and others show the new filter. The next success restores it."""

    def fail(route: Route) -> None:
        if '"output":"..installs_by_version-message' not in (route.request.post_data or ""):
            route.continue_()
        elif failure == "connection refused":
            route.abort()
        elif failure == "not JSON":
            route.fulfill(status=502, body="<html>Bad gateway</html>", content_type="text/html")
        else:
            route.fulfill(status=500, body="")

    page.route(CALLBACKS, fail)
    choose_module(page, "ticket_ai")
    expect(page.locator("#installs_by_version-message")).to_contain_text("This could not be read")
    expect(page.locator("#installs_by_version-body")).to_be_hidden()
    expect(page.locator("#active_installs-value")).to_have_text("7")
    page.unroute(CALLBACKS)
    choose_module(page, "invoice_pro")
    expect(page.locator("#installs_by_version-body")).to_be_visible()
    expect(versions(page)).to_contain_text("1.1.1")
    expect(page.locator("#installs_by_version-message")).to_be_empty()


def test_a_page_without_an_answer_is_asked_again(page: Page) -> None:
    """One message says so. "Try again" keeps the page while nothing answers, and then loads the same address."""
    page.route("**/*", lambda route: route.abort())
    choose_module(page, "ticket_ai")
    again = page.locator("[data-again]:visible")
    expect(again).to_have_count(1)
    again.click()
    expect(again).to_have_text("No answer yet. Try again")
    page.unroute("**/*")
    again.click()
    expect(page.locator("#active_installs-value")).to_have_text("7")
    assert page.url.endswith("?module=ticket_ai")


def wait_until_held(page: Page, held: list[Route], least: int = 1) -> None:
    """Wait until the page has sent so many requests that are held."""

    def sent() -> bool:
        page.wait_for_timeout(50)  # lets the page send requests
        return len(held) >= least

    wait_for(sent, "requests")


@pytest.mark.parametrize("old_answer", ["late", "failed"])
def test_an_answer_that_is_overtaken_is_not_shown(page: Page, old_answer: str) -> None:
    """A request of an earlier selection is ended, and its late response or error ignored."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        body = route.request.post_data or ""
        if "installs_by_version-message" in body and "module=ticket_ai" in body:
            held.append(route)
        else:
            route.continue_()

    page.route(CALLBACKS, hold)
    choose_module(page, "ticket_ai")
    expect(page.locator("#active_installs-value")).to_have_text("7")
    wait_until_held(page, held)  # what is not in view is asked for later
    choose_module(page, "invoice_pro")
    expect(page.locator("#active_installs-value")).to_have_text("6")
    expect(versions(page)).to_contain_text("1.1.1")
    expect(versions(page)).not_to_contain_text("2.2.2")
    for route in held:
        if old_answer == "late":
            route.continue_()
        else:
            route.abort()
    page.wait_for_load_state("networkidle")
    expect(versions(page)).not_to_contain_text("2.2.2")
    expect(page.locator("#installs_by_version-body")).to_be_visible()
    expect(page.locator("#installs_by_version-message")).to_be_empty()


def accesses(system: System) -> list[AccessLogEntry]:
    """Return the access log, newest first."""
    home = Home(system.home)
    return AccessLog(home.access_log, derive(home.root_secret(system.settings), "access log")).entries(1000)
