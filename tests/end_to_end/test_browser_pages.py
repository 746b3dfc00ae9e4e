"""The questions of a product manager in a real browser, each by clicking alone, on one synthetic fleet."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from dashboard.formatting import count, decimal, share
from dashboard.tables import points
from pharos.synthetic_fleet import beacons
from pharos.synthetic_vendor import VENDOR, catalog
from tests.end_to_end.axe import OF_COLORS, violations
from tests.end_to_end.screens import ADDRESSES, DRAWN, show, whole
from tests.end_to_end.system import PASSWORD, System, running, wait_for
from tests.end_to_end.test_browser import browser, logged_in
from warehouse.queries.questions.first_use import WITHIN

__all__ = ["browser"]
TODAY = datetime.now(UTC).date()
SPAN = {"from": str(TODAY - timedelta(days=28)), "to": str(TODAY - timedelta(days=1)), "grain": "period"}
MODULE = "invoice_pro"
# Of a phone and of a desk.
WIDTHS = (390, 1440)
DESK: ViewportSize = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The fleet of the demonstration on the embedded engine: 300 installs, 63 days, a catalog, and k = 3."""
    home = tmp_path_factory.mktemp("pages") / "home"
    with running(home, "embedded", PHAROS_K="3") as system:
        (system.home / "catalog.toml").write_text(catalog(TODAY))
        sent = beacons(3, 300, 63, TODAY - timedelta(days=1), world=VENDOR)
        system.load(sent)
        yield system


@pytest.fixture(scope="module")
def login(system: System, browser: Browser) -> Iterator[Page]:
    page = logged_in(browser, system, "admin", PASSWORD, "/glossary")
    errors: list[str] = []
    page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
    yield page
    assert errors == []
    page.context.close()


@pytest.fixture
def page(login: Page, system: System) -> Page:
    """A page without filters, as on a desk: the home page, or where the test before has ended."""
    login.set_viewport_size(DESK)
    today = login.get_by_role("navigation").get_by_role("link", name="Today", exact=True)
    if "?" in login.url or not today.count():
        login.goto(system.dashboard)
    return login


@pytest.fixture
def home(page: Page) -> None:
    """Open the home page, without filters."""
    opened(page, "Today")
    expect(page.locator("#active_installs-value")).not_to_be_empty()


at_home = pytest.mark.usefixtures("home")


def opened(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()


def opened_on_phone(page: Page, name: str) -> None:
    page.get_by_role("button", name="Navigation").click()
    opened(page, name)


def rows_of(page: Page, card: str) -> list[list[str]]:
    """Return the texts of the rows of a table, once it has some."""
    rows = page.locator(f"#{card}-body tbody tr")
    expect(rows.first).to_be_visible()
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def row_named(page: Page, card: str, name: str) -> Locator:
    return page.locator(f"#{card}-body tbody tr").filter(has=page.get_by_role("rowheader", name=name, exact=True))


@at_home
def test_what_changed_and_who_is_new_and_lost(page: Page, system: System) -> None:
    """The home page says what changed, each with its proof, and who was new and lost in the last week."""
    said = page.locator("#changed-said li")
    expect(said.first).to_contain_text("installs were active")
    active = system.rows("installs", **SPAN)[0]["value"]
    expect(said.first).to_contain_text(f"{count(active)} installs were active")
    week = system.rows("lifecycle", grain="week")[-1]
    for name, value in week.items():
        if name in ("new", "lost") and value is not None:
            expect(page.locator(f"#week-{name}-value")).to_have_text(count(value))
    rows = rows_of(page, "movers")
    assert all((row[2] == "not told") == (row[4] == "–") for row in rows)
    changes = [float(row[4].removesuffix(" points").replace("−", "-")) for row in rows if row[4] != "–"]
    assert changes == sorted(changes, key=lambda points: -abs(points))
    page.locator("#movers-body a").first.click()
    page.wait_for_url(re.compile("/(feature|versions|platforms)[?]"))
    page.go_back()
    expect(page.locator("#movers-body a").first).to_be_visible()
    page.go_forward()
    page.wait_for_url(re.compile("/(feature|versions|platforms)[?]"))


def test_which_features_are_used_and_which_keep_their_users(page: Page, system: System) -> None:
    """Shares are those of the module's installs. A row opens the feature with its retention and its company."""
    opened(page, "Features")
    grid = page.locator("#features-grid")
    cell = grid.locator('.ag-row:has-text("PDF export")')
    using = {tuple(row["keys"]): row["value"] for row in system.rows("feature_installs", by="module,feature", **SPAN)}
    modules = {row["key"]: row["value"] for row in system.rows("installs", by="module", **SPAN)}
    wanted = share(using[MODULE, "invoice.pdf_export"] / modules[MODULE])
    grid.locator(".ag-header-cell-text", has_text="Module").click()
    expect(cell.locator('[col-id="adoption"]')).to_contain_text(wanted)
    cell.get_by_role("link").click()
    page.wait_for_url("**/feature?*")
    expect(page.locator("#feature-figures")).to_contain_text(wanted)
    # All installs but a few are older than the data: nobody knows whether the feature keeps its users.
    expect(page.locator("#feature-retention-message")).to_contain_text("The first 4 weeks of the data are left out")
    assert rows_of(page, "feature-together")
    status, soon = system.read("/api/v1/metrics/first_use", module=MODULE, feature="invoice.pdf_export", to=SPAN["to"])
    assert status == 200
    assert [(row["within"], row["of"]) for row in soon["rows"]] == [(days, soon["rows"][0]["of"]) for days in WITHIN]
    shown = [(row[1], row[2]) for row in rows_of(page, "feature-first_use")]
    told = [(row["installs"], row["share"]) for row in soon["rows"]]
    assert shown == [(count(number), share(part)) if number else ("not told", "not told") for number, part in told]
    assert shown[0][0] != "not told"
    expect(page.locator("#feature-first_use-note")).to_contain_text(f"Of the {count(soon['rows'][0]['of'])} installs")
    assert rows_of(page, "feature-version")
    expect(page.locator("#adoption_per_bucket-summary")).to_contain_text("Adoption of invoice.pdf_export")


def test_a_phone_shows_shares_beside_names(page: Page) -> None:
    """The column of modules gives way, and the module stands below the name."""
    page.set_viewport_size({"width": 390, "height": 900})
    opened_on_phone(page, "Features")
    grid = page.locator("#features-grid")
    expect(grid.locator('[role=columnheader][col-id="module"]')).to_have_count(0)
    # The order is that of the header that shows one.
    expect(grid.locator('[role=columnheader][aria-sort="descending"]')).to_have_attribute("col-id", "adoption")
    numbers = grid.locator('.ag-row [col-id="adoption"] .number')

    def in_order() -> bool:
        shares = [float(text.rstrip("%")) for text in numbers.all_inner_texts()]
        return len(shares) > 1 and shares == sorted(shares, reverse=True)

    wait_for(in_order, "the rows in the order of their shares")
    row = grid.locator(".ag-pinned-left-cols-container .ag-row", has_text="PDF export")
    expect(row).to_contain_text(MODULE)
    share_ = grid.locator(
        f'.ag-center-cols-container .ag-row[row-id="{MODULE}/invoice.pdf_export"] [col-id="adoption"]'
    )
    expect(share_).to_contain_text("%")
    box = share_.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    page.set_viewport_size(DESK)
    expect(grid.locator('[role=columnheader][col-id="module"]')).to_be_visible()


@at_home
def test_the_same_share_on_every_page(page: Page) -> None:
    """The home page and Platforms have the same installs and shares of each PHP, and both add up."""
    expect(page.locator("#installs_by_php_series-body")).to_contain_text("8.2")
    said = rows_of(page, "installs_by_php_series")
    opened(page, "Platforms")
    assert rows_of(page, "platforms-php_series") == said


def test_numbers_in_a_grid_have_the_format_of_other_pages(page: Page) -> None:
    """Also half-way between two numbers, where the rounding of a browser differs from Python's."""
    opened(page, "Features")
    values = [0.0, 0.0005, 0.0125, 0.0625, 0.0875, 0.125, 0.135, 0.375, 0.5, 4.25, 4.75, 99.95, 100.5, 101.5, 1938.857]
    shown = page.evaluate(
        """values => values.map(value => ["Decimal", "Share", "Points"].map((name) => {
            const inside = (one) => (one && one.props ? [].concat(one.props.children).map(inside).join("") : one || "");
            const props = { value: name === "Decimal" ? value : value % 1, node: {} };
            return inside(window.dashAgGridComponentFunctions[name](props));
        }))""",
        values,
    )  # fmt: skip
    for value, (number, part, change) in zip(values, shown, strict=True):
        assert (number, part) == (decimal(value), share(value % 1))
        assert change == points(value % 1).removesuffix(" points").replace("no change", "0")
    # The same number on the page of the feature.
    each = page.locator(f'#features-grid .ag-row[row-id="{MODULE}/invoice.pdf_export"] [col-id="per_install"]')
    told = each.inner_text()
    page.goto(urljoin(page.url, f"/feature?name=invoice.pdf_export&module={MODULE}"))
    expect(page.locator(".facts .figure-card", has_text="Uses per install")).to_contain_text(told)


def test_a_declared_feature_that_nobody_uses_is_listed(page: Page) -> None:
    """The catalog declares it, no install reports it."""
    opened(page, "Features")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table as CSV").click()
    rows = list(csv.DictReader(StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    (unseen,) = (row for row in rows if row["Feature"] == "invoice.qr_code")
    assert (unseen["Hint"], unseen["Share"], unseen["Installs"]) == ("Never used, or too few", "", "")


def test_did_the_release_take_hold_and_who_is_left(page: Page, system: System) -> None:
    """Two clicks: the newest release with a verdict and its interval, and the installs of each version."""
    opened(page, "Versions")
    page.locator("#versions-message").get_by_role("link", name=re.compile(MODULE)).click()
    expect(page.locator("#watch-said")).to_contain_text(re.compile("was released on"))
    expect(page.locator("#watch-said")).to_contain_text(re.compile("95% interval|too few installs"))
    reported = system.rows("installs", by="version", count="latest", module=MODULE, **SPAN)
    total = sum(row["value"] for row in reported)
    shown = {row[0]: row for row in rows_of(page, "versions-in-use")}
    assert {(row["key"], count(row["value"]), share(row["value"] / total)) for row in reported} == {
        (version, row[1], row[2]) for version, row in shown.items()
    }
    expect(page.locator("#share_by_version-summary")).to_contain_text("Shares in the last whole week")
    assert rows_of(page, "versions-upgrades")


def test_can_we_drop_an_old_php(page: Page, system: System) -> None:
    """Three clicks: whom it hurts, what they use, the trend, and when PHP ends. The address holds all of it."""
    opened(page, "What if we drop…")
    page.get_by_role("link", name=re.compile(r"^PHP below 8\.1")).click()
    page.get_by_role("button", name="Remove filter PHP < 8.1").wait_for()
    (hurt,) = system.rows("installs", count="latest", **{"php_series.lt": "8.1"}, **SPAN)
    answered = sum(row["value"] for row in system.rows("installs", by="php_series", count="latest", **SPAN))
    expect(page.locator("#drop-hurt-body")).to_contain_text(share(hurt["value"] / answered))
    expect(page.locator("#drop-hurt-body")).to_contain_text(f"{count(hurt['value'])} of {count(answered)} installs")
    page.locator("#drop-modules-body").get_by_role("link", name=MODULE).click()
    page.wait_for_url(f"**module={MODULE}*")
    expect(page.locator("#drop-what")).to_have_text(f"If we drop PHP below 8.1 for {MODULE}:")
    status, answer = system.read(
        "/api/v1/metrics/drop", module=MODULE, **{"php_series.lt": "8.1", "from": SPAN["from"], "to": SPAN["to"]}
    )
    assert status == 200
    expect(page.locator("#drop-hurt-body")).to_contain_text(share(answer["share"]))
    expect(page.locator("#drop-hurt-body")).to_contain_text(f"{count(answer['installs'])} of {count(answer['of'])}")
    assert len(rows_of(page, "drop-versions")) == len(answer["rows"])
    ends = {row[0]: row[1] for row in rows_of(page, "drop-ends")}
    assert ends["PHP 8.2"].startswith("31 Dec 2026")
    expect(page.locator("#share_to_drop-note")).not_to_be_empty()
    search = parse_qs(urlsplit(page.url).query)
    assert search == {"php_series.lt": ["8.1"], "module": [MODULE]}
    page.reload()
    expect(page.locator("#drop-what")).to_have_text(f"If we drop PHP below 8.1 for {MODULE}:")


def test_platforms_are_filtered_detailed_and_crossed(page: Page, system: System) -> None:
    """One click: WHMCS by PHP. A value filters, a link shows patch levels, and without countries a card says why."""
    opened(page, "Platforms")
    reported = system.rows("installs", by="php_series", count="latest", **SPAN)
    shown = rows_of(page, "platforms-php_series")
    assert {(row["key"], count(row["value"])) for row in reported} == {(row[0], row[1]) for row in shown}
    expect(page.locator("#platforms-country-message")).to_contain_text("PHAROS_COUNTRY_DATABASE")
    expect(page.locator("#platforms-crossed-body td.warm").first).to_be_visible()
    page.locator("#platforms-axes").get_by_role("link", name="Database", exact=True).first.click()
    expect(page.locator("#platforms-crossed-body thead th").first).to_have_text("Database")
    page.get_by_role("link", name="By patch level of PHP").click()
    expect(page.locator("#platforms-php_series-body")).to_contain_text("8.2.29")
    row_named(page, "platforms-web_server_series", "apache-2.4").get_by_role("link").click()
    page.get_by_role("button", name="Remove filter Web server: apache-2.4").wait_for()
    expect(page.locator("#platforms-web_server_series-body tbody tr")).to_have_count(1)


def test_a_table_has_its_file_and_its_call(page: Page, system: System) -> None:
    """The CSV file has the numbers of the table, and the call answers with the same."""
    opened(page, "Platforms")
    rows_of(page, "platforms-whmcs_series")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download WHMCS as CSV").click()
    file = list(csv.reader(StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    reported = system.rows("installs", by="whmcs_series", count="latest", **SPAN)
    assert {row[0]: int(row[1]) for row in file[1:]} == {row["key"]: row["value"] for row in reported}
    page.locator("#platforms-whmcs_series-card summary").click()
    expect(page.locator("#platforms-whmcs_series-table code")).to_contain_text("by=whmcs_series")


def test_data_says_what_arrived(page: Page) -> None:
    """Every module has its days, and each field the installs that report it."""
    opened(page, "Data")
    assert {MODULE, "bulk_mailer"} <= {row[0] for row in rows_of(page, "data-days")}
    fields = {row[0]: row[2] for row in rows_of(page, "data-reported")}
    assert fields["Module version"] == "100%"
    assert fields["Country"] == "not told"


@pytest.mark.parametrize("path", ["/drop?php_series.lt=8.1", f"/?php={'8' * 4000}"], ids=["drop", "long value"])
def test_nothing_is_wider_than_the_window(login: Page, system: System, path: str) -> None:
    """Tables scroll in their cards. The other pages are measured with their accessibility."""
    login.set_viewport_size({"width": WIDTHS[0], "height": 900})
    show(login, system.dashboard + path)
    for width in WIDTHS:
        login.set_viewport_size({"width": width, "height": 900})
        login.wait_for_function(DRAWN)
        assert wide(login) <= width


def wide(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_page_is_accessible(login: Page, system: System, name: str) -> None:
    """axe finds nothing on any page, light and dark, on a phone and on a desk. Nothing is wider than the window."""
    found = []
    login.set_viewport_size({"width": WIDTHS[0], "height": 900})
    show(login, system.dashboard + ADDRESSES[name])
    for width in WIDTHS:
        whole(login, width)
        assert wide(login) <= width
        for dark in (False, True):
            login.emulate_media(color_scheme="dark" if dark else "light")
            rules = OF_COLORS if dark else ()
            found += [f"{name}, {width}, {dark=}: {one}" for one in violations(login, *rules)]
    login.emulate_media(color_scheme="light")
    assert found == []


@at_home
def test_what_opens_from_the_bar_is_accessible(page: Page) -> None:
    """The filter picker and the saved views, while they are open. Escape closes them and returns to their button."""
    for name, inside in (("Filter", "Filter by"), ("Views", "Save this view as")):
        button = page.get_by_role("button", name=name, exact=True)
        button.click()
        expect(page.get_by_label(inside).first).to_be_visible()
        expect(button).to_have_attribute("aria-expanded", "true")
        if name == "Filter":
            page.get_by_role("option", name="Country", exact=True).click()  # and its list closes
        assert violations(page) == []
        page.keyboard.press("Escape")
        expect(page.get_by_label(inside).first).to_be_hidden()
        expect(button).to_be_focused()


def test_a_printed_grid_has_all_its_rows(page: Page) -> None:
    """On the screen it draws those in view. The table on paper has the grid's order, and goes with the dialog."""
    page.set_viewport_size({"width": 1280, "height": 420})
    opened(page, "Features")
    grid = page.locator("#features-grid")
    expect(grid.locator('.ag-center-cols-container .ag-row [col-id="installs"] .number').first).to_be_visible()
    page.evaluate(
        """() => addEventListener("beforeprint", () => {
            const rows = [...document.querySelectorAll(".printed-grid tbody tr")];
            window.printed = rows.map((row) => [...row.cells].map((cell) => cell.textContent));
        })"""
    )
    page.pdf()
    printed = page.evaluate("window.printed")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table as CSV").click()
    rows = list(csv.DictReader(StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert [row[0] for row in printed] == [row["Module"] for row in rows]
    for cells, row in zip(printed, rows, strict=True):
        assert row["Feature"] in cells[1]
        assert cells[5] == (count(int(row["Installs"])) if row["Installs"] else "too few")
    expect(page.locator(".printed-grid")).to_have_count(0)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(grid).to_be_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    expect(grid).to_be_visible()
    page.set_viewport_size(DESK)
