"""The router: shows the page of the address.

Dash's own pages are not used. Their router renders a page anew when only the query changes, and keeps its pages in a
global that all apps of a process share.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard import messages
from dashboard.permissions import PAGES, SHELL, Callbacks, page_at
from dashboard.regions import Instead, fill, region


def layout() -> list[Any]:
    """The place of the page, and what the browser knows about all pages."""
    pages = {
        page.name: {
            "path": page.path,
            "title": page.title,
            "controls": page.controls,
            "own": page.own,
            "within": page.within,
        }
        for page in PAGES
    }
    return [dcc.Store(id="pages", data=pages), html.Div(region("page"), id="content", tabIndex=-1)]


def register(dash_app: Dash, callbacks: Callbacks, layouts: Mapping[str, Callable[[], Any]]) -> None:
    """The callback that shows a page. `layouts`, by name of the page, answer a role that may not open it themselves."""

    @fill(callbacks, SHELL, "page", [Output("page-content", "children")], Input("url", "pathname"))
    def page(pathname: str | None) -> Instead | tuple[Any]:
        found = page_at(pathname or "/")
        return Instead(messages.no_such_page()) if found is None else (layouts[found.name](),)
