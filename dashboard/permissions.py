"""Who may see what: the one table of pages and roles, and the guard that holds every request against it.

A page is closed in four places, because there are four ways in: its address (GET), its layout (handed out by the
routing callback), each of its callbacks (POST), and the navigation, which does not offer it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dash import Dash
from flask import Flask, Response, abort, redirect, request
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from core.credentials import Role
from dashboard.callback_request import is_well_formed
from dashboard.question_limit import QuestionLimit, TooManyQuestions

EVERYONE = frozenset(Role)
LICENSING = frozenset(role for role in Role if role.licensing)


@dataclass(frozen=True)
class Page:
    """A page: `name` is also its module below `dashboard.pages` and the prefix of its component ids."""

    name: str
    path: str
    title: str
    roles: frozenset[Role]


PAGES = (
    Page("overview", "/", "Overview", EVERYONE),
    Page("features", "/features", "Features", EVERYONE),
    Page("licensing", "/licensing", "Licensing", LICENSING),
    Page("access_log", "/access-log", "Access log", frozenset({Role.ADMIN})),
    Page("rights", "/rights", "Rights", frozenset({Role.ADMIN})),
    Page("health", "/health", "Health", frozenset({Role.ADMIN})),
)
# What is around every page (filters, navigation); its callbacks are open to all who are logged in.
SHELL = Page("shell", "", "", EVERYONE)

# Whose token opens which path of the read API; a path that is not here opens to nobody. None: open without a token,
# for there is nothing to be had.
API_RULES: dict[str, frozenset[Role] | None] = {
    "/api/v1/metrics/<metric>": EVERYONE,
    "/api/v1/licensing/installs": LICENSING,
    "/api/v1/licensing/flags": LICENSING,
    "/api/": None,
    "/api/<path:rest>": None,
    "/healthz": None,
    "/readyz": None,
}

# Reached without a login. The read API has tokens of its own.
OPEN = frozenset({"/login", "/healthz", "/readyz", "/assets/login/login.css", "/assets/login/mark.svg"})
# Open to the world where the setting says so; here nobody is looked up, logged in or not.
PUBLIC = frozenset({"/privacy", "/privacy.json"})
# One's own account, for all who are logged in; a page beside the app, with forms.
ACCOUNT = "/account"
EXTENSION = "pharos callbacks"
API = "/api/"
CALLBACKS = "/_dash-update-component"


def page_at(path: str) -> Page | None:
    """The page of an address, read as loosely as Dash reads it (`/licensing/` is `/licensing`)."""
    return next((page for page in PAGES if page.path.strip("/") == path.strip("/")), None)


def pages_for(role: Role) -> list[Page]:
    """The pages that somebody of this role may open."""
    return [page for page in PAGES if role in page.roles]


def is_page_request() -> bool:
    """Whether a person waits for a page, and not a script for an answer."""
    return request.method in ("GET", "HEAD") and not request.path.startswith(("/_", "/assets/", API))


def guarded(page: Page, layout: Callable[[], Any], refused: Callable[[], Any]) -> Callable[..., Any]:
    """The layout function for Dash: `layout()` for those who may see the page, `refused()` for all others."""

    def guarded_layout(**_query: str) -> Any:
        allowed = current_user.is_authenticated and current_user.role in page.roles
        return layout() if allowed else refused()

    return guarded_layout


class Callbacks:
    """Registers the callbacks of a Dash app, each under the page that it belongs to."""

    def __init__(self, dash_app: Dash) -> None:
        self._dash = dash_app
        dash_app.server.extensions[EXTENSION] = self
        self.pages: dict[str, Page] = {}

    def add(self, page: Page, *args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """As `Dash.callback`, for `page`."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            before = set(self._dash.callback_map)
            registered: Callable[..., Any] = self._dash.callback(*args, **kwargs)(function)
            for output in set(self._dash.callback_map) - before:
                self.pages[output] = page
            return registered

        return register

    def refuse_bad(self) -> None:
        """Answer 403 to a call of an unknown callback or one that is not for this role, 400 to a malformed call."""
        try:
            body = request.get_json(silent=True)
        except RecursionError:
            abort(400)
        output = body.get("output") if isinstance(body, dict) else None
        page = self.pages.get(output) if isinstance(output, str) else None
        if page is None or current_user.role not in page.roles:
            abort(403)
        if not isinstance(body, dict) or not is_well_formed(body, self._dash.callback_map[output]):
            abort(400)


def guard(server: Flask, public: frozenset[str], questions: QuestionLimit) -> None:
    """Hold every request of `server` against the table; its `Callbacks` are looked for in `server.extensions`.

    `public` are the paths that are open to the world. A call of a callback waits for its turn in `questions`.

    To be called before Dash is made: Flask asks in that order, and a refused request must not get further.
    """

    @server.before_request
    def check() -> AnyResponse | None:
        if _from_elsewhere():
            abort(403)
        if request.path in OPEN | public or request.path.startswith(API):
            return None
        if not current_user.is_authenticated:
            if is_page_request():
                return redirect(f"/login?next={_quoted_address()}")
            return Response(status=401)
        if request.path == CALLBACKS:
            server.extensions[EXTENSION].refuse_bad()
            try:
                questions.begin(f"user {current_user.name}")
            except TooManyQuestions:
                return Response(status=429, headers={"Retry-After": "10"})
        elif is_page_request() and request.path != ACCOUNT:
            page = page_at(request.path)
            if page is None:
                abort(404)
            if current_user.role not in page.roles:
                abort(403)
        return None


def _from_elsewhere() -> bool:
    """Whether another site makes the browser send this.

    The browser itself says so; where it does not (old ones), the cookie's SameSite is what protects.
    """
    reading = request.method in ("GET", "HEAD", "OPTIONS") or request.path.startswith(API)
    return not reading and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")


def _quoted_address() -> str:
    return quote(request.full_path.rstrip("?"), safe="/")
