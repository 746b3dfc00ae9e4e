"""The dashboard in a real browser: posted data is shown to those who may see it, without external requests."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, PASSWORD, System, running

CHROMIUM = "/usr/bin/chromium"
# A Chromium that cannot have a window takes a tenth less of the CPU.
BROWSER = shutil.which("chromium-headless-shell") or CHROMIUM
expect.set_options(timeout=90_000)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module", params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Six installs that reported four days ago, yesterday and now, one of them without a license. All loaded."""
    with running(tmp_path_factory.mktemp("browser") / "home", request.param) as system:
        now = datetime.now(UTC)
        installs = [beacon(module={"name": "invoice_pro", "version": "7.7.7"}) for _ in range(6)]
        installs[0]["license"] = {"status": "unlicensed", "source": "unknown-shop"}
        sent = [
            {**one, "beacon_id": beacon()["beacon_id"], "sent_at": (now - back).isoformat()}
            for back in (timedelta(days=4), timedelta(hours=30), timedelta(0))
            for one in installs
        ]
        assert system.post(sent)[1]["accepted"] == len(sent)
        system.drain()
        yield system


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def admin(system: System, browser: Browser) -> Iterator[Page]:
    """The tab of the admin. A file's tests share it, because a new one compiles all scripts again."""
    page = logged_in(browser, system, "admin", PASSWORD, "/glossary")
    yield page
    page.context.close()


@pytest.fixture
def tab(admin: Page) -> Page:
    """The tab of the admin, without what the test before did to its requests and its size."""
    admin.unroute_all(behavior="ignoreErrors")
    admin.set_viewport_size({"width": 1280, "height": 720})
    return admin


@pytest.fixture(scope="module")
def paula(system: System, browser: Browser) -> Iterator[Page]:
    """The tab of Paula, who is in the product team."""
    password = system.run("users", "add", "paula", "--role", "product").stdout.decode().strip()
    page = logged_in(browser, system, "paula", password)
    yield page
    page.context.close()


def logged_in(browser: Browser, system: System, name: str, password: str, path: str = "/") -> Page:
    """Open a page after a login with the form. No placeholder pulses: that takes a fifth of what a browser does."""
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{system.dashboard}{path}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(rf"{system.dashboard}({path}|/licensing)$"))
    return page


def test_a_gap_shows_as_a_gap_and_health_tells_of_it(system: System, browser: Browser) -> None:
    """Days and hours without beacons are gaps and not zeros. Health shows the loader's state and refreshes in place."""
    page = logged_in(browser, system, "admin", PASSWORD)
    expect(page.locator("#installs_per_bucket-note")).to_contain_text("No beacons of any module on")
    page.clock.install()
    page.goto(f"{system.dashboard}/health")
    expect(page.locator("#health-figures-content")).to_contain_text("Connected")
    expect(page.locator("#health-loaders")).to_contain_text("Running")
    expect(page.locator("#beacons_per_hour-note")).to_contain_text("No beacons of any module from")
    # Those of now are in the complete hours, too, once their hour is over.
    told = re.compile(
        ": 6 beacons in complete hours, .* 6 in this hour|: 12 beacons in complete hours, .* 0 in this hour"
    )
    expect(page.locator("#beacons_per_hour-summary")).to_contain_text(told)
    expect(page.locator("#beacons_per_hour .main-svg").first).to_be_visible()
    expect(page.locator("#filters")).to_be_hidden()
    page.evaluate("document.querySelector('#beacons_per_hour .main-svg').dataset.same = 'yes'")
    with page.expect_response("**/_dash-update-component*") as refreshed:
        page.clock.fast_forward(16_000)
    assert refreshed.value.status == 200
    expect(page.locator("#beacons_per_hour .main-svg").first).to_have_attribute("data-same", "yes")


def test_a_posted_beacon_is_seen_in_a_chart(system: System, paula: Page) -> None:
    """The product team sees the version of six installs in a chart. No request leaves the machine."""
    hosts: set[str] = set()
    errors: list[str] = []
    paula.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
    paula.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    paula.reload()
    expect(paula.locator("#overview-figures-content")).to_contain_text("6")
    expect(paula.locator("#overview-content")).to_contain_text("7.7.7")
    assert hosts == {"127.0.0.1"}
    assert errors == []
    paula.goto(f"{system.dashboard}/features")
    expect(paula.locator("body")).to_contain_text("invoice.pdf_export")


def test_product_is_refused_the_licensing_page(system: System, paula: Page, tab: Page) -> None:
    """The product role gets a 403 and no link to the page. An admin sees the install."""
    expect(paula.get_by_role("link", name="Today").first).to_be_visible()
    expect(paula.get_by_role("link", name="Cases")).to_have_count(0)
    answer = paula.goto(f"{system.dashboard}/licensing")
    assert answer is not None
    assert answer.status == 403
    assert "unknown-shop" not in paula.content()
    tab.goto(f"{system.dashboard}/licensing/installs")
    expect(tab.locator("body")).to_contain_text("unknown-shop")


def test_a_feature_is_called_as_the_catalog_calls_it(system: System, tab: Page) -> None:
    """The grid shows title, name and purpose. The CSV file has title and name."""
    (system.home / "catalog.toml").write_text(
        '[[feature]]\nname = "invoice.pdf_export"\ntitle = "PDF export"\n'
        'purpose = "To see it go"\nowner = "Invoice team"\n'
    )
    tab.goto(f"{system.dashboard}/features")
    cell = tab.locator('.ag-cell[col-id="feature"]').filter(has_text="PDF export")
    expect(cell).to_contain_text("invoice.pdf_export")
    cell.hover()
    expect(tab.locator(".ag-tooltip")).to_contain_text("To see it go (owner: Invoice team)")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download the table as CSV").click()
    text = download.value.path().read_text(encoding="utf-8-sig")
    assert text.splitlines()[0].startswith('"Module","Feature","Title",')
    assert '"invoice_pro","invoice.pdf_export","PDF export",' in text
