"""Access control: the table of pages and roles, and the guard that checks every request against it.

A page is protected in four places: its address (GET), its layout (returned by the routing callback), each of its
callbacks (POST), and the navigation, which hides it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dash import Dash, Input, Output, State
from flask import Flask, Response, abort, redirect, request
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from core.credentials import BUILD, Role
from dashboard.callback_request import is_well_formed
from dashboard.question_limit import QuestionLimit, TooManyQuestions

EVERYONE = frozenset(Role)
LICENSING = frozenset(role for role in Role if role.licensing)

# The controls of the filter bar.
CONTROLS = ("module", "range", "grain", "compare", "filters")
WITHOUT_GRAIN = ("module", "range", "compare", "filters")


@dataclass(frozen=True)
class Page:
    """A page. `name` is also the name of its module in `dashboard.pages` and the prefix of its component ids.

    `group` is its heading in the navigation. `controls` are those of the filter bar on it. `own` are the parameters of
    its address that no other page has. A page that is not `listed` is reached from another one. One that is `within`
    its path has an address for each of its things.
    """

    name: str
    path: str
    title: str
    roles: frozenset[Role]
    group: str = "Product"
    controls: tuple[str, ...] = CONTROLS
    own: tuple[str, ...] = ()
    listed: bool = True
    within: bool = False

    @property
    def reported(self) -> bool:
        """Whether a report can be made of the page: it has figures of a range."""
        return "range" in self.controls

    @property
    def of_usage(self) -> bool:
        """Whether all that it shows are figures of the usage plane. What else is read is logged, for each reader."""
        return self.group == "Product" and self.reported


PAGES = (
    Page("overview", "/", "Today", EVERYONE),
    Page("features", "/features", "Features", EVERYONE, controls=WITHOUT_GRAIN),
    Page("feature", "/feature", "Feature", EVERYONE, controls=WITHOUT_GRAIN, own=("name",), listed=False),
    Page("versions", "/versions", "Versions", EVERYONE, controls=WITHOUT_GRAIN),
    Page("platforms", "/platforms", "Platforms", EVERYONE, controls=WITHOUT_GRAIN, own=("patch", "rows", "columns")),
    Page("drop", "/drop", "What if we drop…", EVERYONE, controls=("module", "range", "filters")),
    Page("data", "/data", "Data", frozenset({Role.PRODUCT, Role.ADMIN}), controls=("module", "range", "filters")),
    Page("glossary", "/glossary", "Glossary", EVERYONE, controls=()),
    Page(
        "desk",
        "/licensing",
        "Cases",
        LICENSING,
        "Licensing",
        ("module",),
        (
            "state",
            "rule",
            "severity",
            "grade",
            "assignee",
            "new",
            "key",
            "sort",
            "page",
            "done",
            "undone",
            "lost",
            "undo",
        ),
    ),
    Page(
        "licensing", "/licensing/installs", "Installs", LICENSING, "Licensing", ("module",), ("status", "key", "after")
    ),
    Page("trends", "/licensing/trends", "Trends", LICENSING, "Licensing", ("module", "range")),
    Page(
        "case",
        "/licensing/",
        "Case",
        LICENSING,
        "Licensing",
        (),
        ("done", "undone", "undo", "key"),
        listed=False,
        within=True,
    ),
    Page("access_log", "/access-log", "Access log", frozenset({Role.ADMIN}), "Licensing", ()),
    Page("rights", "/rights", "Rights", frozenset({Role.ADMIN}), "Operations", ()),
    Page("health", "/health", "Health", frozenset({Role.ADMIN}), "Operations", ()),
)
# The frame of every page (filters, navigation). All logged-in users may call its callbacks.
SHELL = Page("shell", "", "", EVERYONE)

CASES = "/api/v1/licensing/cases"
TRENDS = "/api/v1/licensing/trends"
RELEASES = "/api/v1/releases"
# The pseudonym of a license key, which a POST asks for.
KEYS = "/api/v1/licensing/keys"
# The saved views, and one of them as a file (`dashboard/report.py`), for `pharos report`.
VIEWS = "/api/views"
# Who may also report releases. Build servers may do nothing else.
REPORTERS = frozenset({Role.ADMIN, BUILD})

# The roles whose tokens may read a path of the read API. A path that is not listed is closed to all. None: the path
# needs no token, because it returns no data.
API_RULES: dict[str, frozenset[str] | None] = {
    "/api/v1/metrics/<metric>": EVERYONE,
    "/api/v1/licensing/installs": LICENSING,
    "/api/v1/licensing/flags": LICENSING,
    CASES: LICENSING,
    f"{CASES}/<case>": LICENSING,
    TRENDS: LICENSING,
    RELEASES: EVERYONE | {BUILD},
    VIEWS: frozenset({Role.ADMIN}),
    KEYS: LICENSING,
    "/api/v1/openapi.json": None,
    "/api/": None,
    "/api/<path:rest>": None,
    "/healthz": None,
    "/readyz": None,
}

# Paths that need no login. The read API has its own tokens.
OPEN = frozenset({"/login", "/assets/login/login.css", "/assets/login/mark.svg"})
# Paths for whoever watches over Pharos. `/metrics` checks for itself who asks (`core/scrapes.py`).
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
# Paths that are public if the setting allows it. They have no session, not even for logged-in users.
PUBLIC = frozenset({"/privacy", "/privacy/", "/privacy.json"})
# The page of the user's own account, with forms, outside the Dash app. All logged-in users may open it.
ACCOUNT = "/account"
EXTENSION = "pharos callbacks"
API = "/api/"
CALLBACKS = "/_dash-update-component"
# The outlines of the countries, for the map. They are the same for all, and need a login like all else.
MAP = "/_map.json"


def page_at(path: str) -> Page | None:
    """Return the page at a path, or None. Like Dash, it ignores slashes at the ends (`/licensing/` is `/licensing`)."""
    trimmed = path.strip("/")
    found = next((page for page in PAGES if page.path.strip("/") == trimmed and not page.within), None)
    return found or next((page for page in PAGES if page.within and _is_within(page, trimmed)), None)


def _is_within(page: Page, trimmed: str) -> bool:
    start = page.path.lstrip("/")
    return (
        trimmed.startswith(start) and re.fullmatch(r"[a-z0-9_]+\.[a-z]+\.[0-9a-f]+", trimmed[len(start) :]) is not None
    )


def pages_for(role: Role) -> list[Page]:
    """Return the pages that the navigation offers to this role."""
    return [page for page in PAGES if role in page.roles and page.listed]


def is_page_request() -> bool:
    """Return whether the request is for a page, not from a script."""
    return request.method in ("GET", "HEAD") and not request.path.startswith(("/_", "/assets/", API))


def guarded(page: Page, layout: Callable[[], Any], refused: Callable[[], Any]) -> Callable[..., Any]:
    """Return the layout function for Dash: `layout()` for users who may see the page, `refused()` for others."""

    def guarded_layout(**_query: str) -> Any:
        allowed = current_user.is_authenticated and current_user.role in page.roles
        return layout() if allowed else refused()

    return guarded_layout


@dataclass(frozen=True)
class Registered:
    """A callback of a page: what it fills, what it is given, and the function, which takes the values in order."""

    page: Page
    outputs: list[Output]
    inputs: list[Input | State]
    function: Callable[..., Any]


class Callbacks:
    """Registers the callbacks of a Dash app, each for its page."""

    def __init__(self, dash_app: Dash) -> None:
        self._dash = dash_app
        self._registered: list[Registered] = []
        dash_app.server.extensions[EXTENSION] = self
        self.pages: dict[str, Page] = {}

    def add(self, page: Page, *args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a callback for `page`. Takes the arguments of `Dash.callback`."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            outputs = [one for one in args if isinstance(one, Output)]
            inputs = [one for one in args if isinstance(one, (Input, State))]
            self._registered.append(Registered(page, outputs, inputs, function))
            before = set(self._dash.callback_map)
            registered: Callable[..., Any] = self._dash.callback(*args, **kwargs)(function)
            for output in set(self._dash.callback_map) - before:
                self.pages[output] = page
            return registered

        return register

    def of(self, page: Page) -> "list[Registered]":
        """Return the callbacks of a page, in order of their registration."""
        return [one for one in self._registered if one.page == page]

    def refuse_bad(self) -> None:
        """Abort with 403 if the callback is unknown or not for this role, and with 400 if the call is malformed."""
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
    """Check every request of `server` against the table. Its `Callbacks` are in `server.extensions`.

    `public` has the public paths. A callback waits for its turn in `questions`.

    Call this before Dash is created: Flask runs `before_request` functions in order of registration, and must reject a
    request before Dash handles it.
    """

    @server.before_request
    def check() -> AnyResponse | None:
        if _from_elsewhere():
            abort(403)
        if request.path in OPEN | PROBES | public or request.path.startswith(API):
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
    """Return whether another site made the browser send this request.

    The browser reports it in `Sec-Fetch-Site`. In old browsers, which do not, the cookie's SameSite protects.
    """
    reading = request.method in ("GET", "HEAD", "OPTIONS") or request.path.startswith(API)
    return not reading and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")


def _quoted_address() -> str:
    return quote(request.full_path.rstrip("?"), safe="/")
