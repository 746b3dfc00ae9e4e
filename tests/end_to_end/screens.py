"""The pages of the dashboard as a browser shows them, for screenshots and checks of all of them."""

from playwright.sync_api import Page, expect

FEATURE = "/feature?module=invoice_pro&name=invoice.pdf_export"
# By name. The pages that first ask for something are here with and without it.
ADDRESSES = {
    "today": "/",
    "features": "/features",
    "feature": FEATURE,
    "versions": "/versions?module=invoice_pro",
    "versions-no-module": "/versions",
    "platforms": "/platforms",
    "drop": "/drop?module=invoice_pro&php_series.lt=8.1",
    "drop-nothing": "/drop",
    "data": "/data",
    "empty-range": "/?from=2020-01-01&to=2020-01-31",
    "unknown-filter": "/?module=no_such_module",
    "glossary": "/glossary",
    "cases": "/licensing",
    "trends": "/licensing/trends",
    "installs": "/licensing/installs",
    "access-log": "/access-log",
    "rights": "/rights",
    "health": "/health",
    "account": "/account",
}
# A callback is under way, or a chart has a figure that is not drawn yet.
BUSY = "._dash-loading-callback, .dash-graph--pending"
# Plotly redraws a moment after its window changed.
DRAWN = """() => [...document.querySelectorAll(".js-plotly-plot")].every(chart => {
    const drawing = chart.querySelector(".main-svg");
    return !drawing || !chart.clientWidth || Math.abs(drawing.getBoundingClientRect().width - chart.clientWidth) < 2;
})"""

# Waits until what moves to its new place has arrived, as the navigation does. What turns for ever is not waited for.
MOVED = """Promise.allSettled(document.getAnimations().filter(
    (one) => one.effect.getComputedTiming().iterations !== Infinity).map((one) => one.finished)).then(() => null)"""


def show(page: Page, address: str) -> None:
    """Open a page and wait until all that it shows is there."""
    page.goto(address)
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator(BUSY)).to_have_count(0)
    page.wait_for_load_state("networkidle")
    expect(page.locator(BUSY)).to_have_count(0)


def whole(page: Page, width: int) -> None:
    """Make the window as high as the page: what is cut off by the window is not checked or seen."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(MOVED)
    height = page.evaluate("Math.max(900, document.documentElement.scrollHeight)")
    page.set_viewport_size({"width": width, "height": min(int(height), 12_000)})
    page.wait_for_function(DRAWN)
