"""Accessibility of a page, as axe sees it."""

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (1440, 390)
# What a color scheme changes. All else is checked in the light one.
OF_COLORS = ("color-contrast", "link-in-text-block")


def violations(page: Page, *rules: str) -> list[str]:
    """Return what axe finds on the page, with all its rules or some: rule, target and why."""
    # What opens is transparent at first; colors in between are no contrast.
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => document.getAnimations().every(one => one.playState !== 'running')")
    only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    options = {"resultTypes": ["violations"], **only}
    if not page.evaluate("() => 'axe' in window"):  # half a megabyte: once for a page
        page.evaluate(Axe().axe_script)
    found: list[dict[str, Any]] = page.evaluate(
        "options => axe.run(options).then((found) => found.violations)", options
    )
    return [
        f"{one['id']} at {node['target']}: {node.get('failureSummary', '')} {node['html'][:120]}"
        for one in found
        for node in one["nodes"]
    ]
