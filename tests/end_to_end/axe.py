"""Accessibility of a page, as axe sees it."""

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (1440, 390)


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page: rule, target and why."""
    # The frame of the page moves while it opens; colors in between are no contrast.
    page.wait_for_load_state("networkidle")
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{one['id']} at {node['target']}: {node.get('failureSummary', '')} {node['html'][:120]}"
        for one in found
        for node in one["nodes"]
    ]
