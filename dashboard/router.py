"""The router: shows the page of the address.

Dash's own pages are not used. Their router renders a page anew when only the query changes, and keeps its pages in a
global that all apps of a process share.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dash import Dash, Input, Output, State, dcc, html
from flask import g

from dashboard import messages
from dashboard.permissions import PAGES, SHELL, Callbacks, page_at
from dashboard.regions import Instead, fill, region
from dashboard.script_assets import GRID_PAGES, GRIDS


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
    return [
        dcc.Store(id="pages", data=pages),
        dcc.Store(id="loaded-scripts", data=[]),
        html.Div(region("page"), id="content", tabIndex=-1),
    ]


def register(dash_app: Dash, callbacks: Callbacks, layouts: Mapping[str, Callable[[], Any]]) -> None:
    """The callback that shows a page. `layouts`, by name of the page, answer a role that may not open it themselves."""

    outputs = [Output("page-content", "children"), Output("loaded-scripts", "data")]

    @fill(callbacks, SHELL, "page", outputs, Input("url", "pathname"), State("loaded-scripts", "data"))
    def page(pathname: str | None, loaded: list[str] | None) -> Instead | tuple[Any, list[str]]:
        found = page_at(pathname or "/")
        if found is None:
            return Instead(messages.no_such_page())
        g.scripts = [GRIDS] if found.path in GRID_PAGES and GRIDS not in (loaded or []) else []
        return layouts[found.name](), [*(loaded or []), *g.scripts]
