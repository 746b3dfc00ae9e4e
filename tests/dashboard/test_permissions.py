"""Every page, callback and API path, requested by every role and by nobody."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from core.home import Home
from core.settings import Settings
from dashboard.app import create_app
from dashboard.permissions import API, API_RULES, EVERYONE, EXTENSION, KEYS, PAGES, PUBLIC, Callbacks, Page
from tests.dashboard.conftest import EmptyEngine, call, output_of, visits

Visit = Callable[[str | None], FlaskClient]
NOBODY = None
VISITORS = [NOBODY, *(role.value for role in Role)]
LICENSING = next(page for page in PAGES if page.name == "licensing")
HEALTH = next(page for page in PAGES if page.name == "health")


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory, users: Path) -> Visit:
    """Like `visit`, but of one app for all tests that change nothing: to make an app takes longer than a request."""
    home = Home(tmp_path_factory.mktemp("read") / "home")
    shutil.copy(users, home.credentials)
    return visits(create_app(Settings(), home, EmptyEngine()), Credentials(home.credentials))


def callbacks_of(app: Flask) -> Callbacks:
    found = app.extensions[EXTENSION]
    assert isinstance(found, Callbacks)
    return found


def allowed(page: Page, visitor: str | None) -> bool:
    return visitor is not None and Role(visitor) in page.roles


def dependencies(visit: Visit) -> list[dict[str, Any]]:
    found = visit("admin").get("/_dash-dependencies").json
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("written", ["{}", "{}/", "{}?module=x&from=2026-01-01"])
def test_a_page_opens_for_its_roles_alone(read: Visit, page: Page, visitor: str | None, written: str) -> None:
    """Without a login a page redirects to the login, and other roles get a 403, however the address is written."""
    path = written.format("" if page.path == "/" and written == "{}/" else page.path)
    answer = read(visitor).get(path)
    if visitor is NOBODY:
        assert answer.status_code == 302
        assert answer.location.startswith("/login?next=/")
    elif allowed(page, visitor):
        assert answer.status_code == 200
        assert "_dash-renderer" in answer.text
    else:
        assert answer.status_code == 403
        assert "Access denied" in answer.text
        assert "_dash-renderer" not in answer.text


@pytest.mark.parametrize("visitor", VISITORS)
def test_a_callback_answers_its_roles_alone(app: Flask, visit: Visit, visitor: str | None) -> None:
    """A callback called directly returns 401 without a login and 403 for other roles."""
    client = visit(visitor)
    tried = 0
    for dependency in dependencies(visit):
        page = callbacks_of(app).pages.get(dependency["output"])
        if page is None:
            continue
        inputs = {f"{one['id']}.{one['property']}": None for one in dependency["inputs"]}
        state = {f"{one['id']}.{one['property']}": None for one in dependency["state"]}
        status = call(client, dependency["output"], inputs, state).status_code
        expected = 401 if visitor is NOBODY else 200 if allowed(page, visitor) else 403
        assert status == expected, dependency["output"]
        tried += 1
    assert tried > 10


def test_every_callback_that_runs_here_is_registered(app: Flask, visit: Visit) -> None:
    """Every server-side callback has an entry in the table of pages. Without one it is refused to everybody."""
    in_table = callbacks_of(app).pages
    for dependency in dependencies(visit):
        assert (dependency["clientside_function"] is None) == (dependency["output"] in in_table), dependency["output"]


def test_the_table_names_the_roles_of_what_is_not_for_all() -> None:
    """The product role has no access to the license plane, and only admins have access to admin pages."""
    closed = {page.name: page.roles for page in PAGES if page.roles != EVERYONE}
    admin = frozenset({Role.ADMIN})
    assert closed == {
        "data": {Role.PRODUCT, Role.ADMIN},
        "desk": {Role.LICENSING, Role.ADMIN},
        "case": {Role.LICENSING, Role.ADMIN},
        "licensing": {Role.LICENSING, Role.ADMIN},
        "trends": {Role.LICENSING, Role.ADMIN},
        "access_log": admin,
        "rights": admin,
        "health": admin,
    }


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("pathname", ["/licensing/installs", "/licensing/installs/", "//licensing/installs"])
def test_the_routing_callback_gives_no_closed_layout(visit: Visit, visitor: str | None, pathname: str) -> None:
    """The routing callback returns no layout of a page that the user may not open."""
    answer = call(
        visit(visitor), output_of(visit("admin"), "page"), {"url.pathname": pathname}, {"loaded-scripts.data": []}
    )
    assert answer.status_code == (401 if visitor is NOBODY else 200)
    assert ("licensing-grid" in answer.text) == allowed(LICENSING, visitor)


@pytest.mark.parametrize("role", list(Role))
def test_the_navigation_offers_what_opens(visit: Visit, role: Role) -> None:
    """The navigation contains exactly the listed pages that the user may open."""
    layout = visit(role.value).get("/_dash-layout").text
    for page in PAGES:
        assert (f'"nav":"{page.name}"' in layout) == (role in page.roles and page.listed), page.name


@pytest.mark.parametrize("output", ["nothing.children", "app-shell.navbar", "", None, ["overview-message.children"]])
def test_an_unregistered_callback_is_refused(visit: Visit, output: Any) -> None:
    """Calls of unregistered callbacks are refused, including those that run in the browser."""
    answer = visit("admin").post("/_dash-update-component", json={"output": output, "inputs": [], "state": []})
    assert answer.status_code == 403


def test_what_is_no_json_is_refused(visit: Visit) -> None:
    """An invalid body is refused before Dash reads it."""
    client = visit("admin")
    assert client.post("/_dash-update-component", data=b"{").status_code == 403
    assert client.post("/_dash-update-component", json=[1]).status_code == 403


@pytest.mark.parametrize(
    "path", ["/_dash-layout", "/_dash-dependencies", "/_reload-hash", "/assets/pharos.css", "/_favicon.ico"]
)
def test_nothing_of_the_app_is_served_without_login(visit: Visit, path: str) -> None:
    """Scripts, layout and assets need a login. The login page has its own folder of assets."""
    assert visit(NOBODY).get(path).status_code == 401
    assert visit("product").get(path).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/login", "/assets/login/login.css", "/assets/login/mark.svg"])
def test_what_is_open_needs_no_login(visit: Visit, path: str) -> None:
    """Health checks and the login page are open."""
    assert visit(NOBODY).get(path).status_code == 200


def test_the_read_api_takes_tokens_and_no_session(visit: Visit) -> None:
    """The read API accepts no session and does not redirect."""
    assert visit(NOBODY).get("/api/v1/metrics/installs").status_code == 401
    assert visit("admin").get("/api/v1/metrics/installs").status_code == 401
    assert visit("admin").get("/api/nothing").status_code == 404


def api_rules(app: Flask) -> list[str]:
    """Return the rules of the read API and of the two health checks, as Flask has them."""
    return sorted({rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")})


def test_every_path_of_the_read_api_has_a_rule(app: Flask) -> None:
    """Every path of the read API has an entry in the table. Without one it is refused to everybody."""
    assert api_rules(app) == sorted(API_RULES)
    beside = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith(API)}
    assert beside <= set(API_RULES)


@pytest.mark.parametrize("role", [None, "made up", *Role])
def test_a_path_of_the_read_api_answers_its_roles_alone(
    app: Flask, visit: Visit, credentials: Credentials, role: Role | str | None
) -> None:
    """A path returns 401 without a valid token and 403 for other roles. A session is no token."""
    token = credentials.add_token(role) if isinstance(role, Role) else role
    client = visit("admin")
    for rule in api_rules(app):
        path = rule.replace("<metric>", "installs").replace("<path:rest>", "nothing")
        path = path.replace("<case>", "invoice_pro.install.0123456789abcdef")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if rule == KEYS:
            answer = client.post(path, headers=headers, json={"key_hash": "ab" * 32})
        else:
            answer = client.get(path, headers=headers)
        roles = API_RULES[rule]
        if roles is None:
            assert answer.status_code == (404 if rule in ("/api/", "/api/<path:rest>") else 200), rule
        elif not isinstance(role, Role):
            assert answer.status_code == 401, rule
        else:
            found = 404 if "<case>" in rule else 200  # there is no case yet
            assert answer.status_code == (found if role in roles else 403), rule


def test_a_path_without_a_rule_opens_to_nobody(app: Flask, visit: Visit, credentials: Credentials) -> None:
    """A path without an entry is closed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(API_RULES, "/api/v1/licensing/flags")
        token = credentials.add_token(Role.ADMIN)
        answer = visit(NOBODY).get("/api/v1/licensing/flags", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


def test_the_table_of_the_read_api_names_who_sees_licenses() -> None:
    """The product role has no access to license paths."""
    for rule, roles in API_RULES.items():
        if "licensing" in rule:
            assert roles == frozenset({Role.LICENSING, Role.ADMIN})


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
        {"headers": {"Sec-Fetch-Site": "same-site"}, "json": {}},
        {"data": {"name": "admin", "token": "made up"}},
        {"data": '{"output": "page", "inputs": []}', "content_type": "text/plain"},
        {"data": b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nx\r\n--x--\r\n',
         "content_type": "multipart/form-data; boundary=x"},
    ],
    ids=["cross-site", "same-site", "form", "text", "multipart"],
)  # fmt: skip
def test_nothing_is_changed_by_what_another_site_can_send(app: Flask, visit: Visit, sent: dict[str, Any]) -> None:
    """Every route rejects requests that another site can send.

    Old browsers do not say where a request comes from. Without permission they can send forms and plain text only.
    """
    tried = []
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}):
            path = re.sub(r"<[^>]+>", "x", rule.rule)
            answer = visit("admin").open(path, method=method, **sent)
            assert answer.status_code in (400, 401, 403, 405), f"{method} {path}"
            tried.append(path)
    assert {"/login", "/logout", "/_dash-update-component"} <= set(tried)


def test_a_path_that_is_only_posted_to_says_so(app: Flask) -> None:
    """A GET of it is no unknown path."""
    answer = app.test_client().get("/api/v1/licensing/keys", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST")
    assert app.test_client().get("/api/v1/licensing/key").status_code == 404


def test_an_address_that_is_no_page_is_404(visit: Visit) -> None:
    """An unknown address gets a 404 page."""
    answer = visit("product").get("/nothing")
    assert answer.status_code == 404
    assert "Page not found" in answer.text
    assert visit(NOBODY).get("/nothing").status_code == 302


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_the_page_for_the_world_is_no_page_unless_it_is_switched_on(visit: Visit, path: str) -> None:
    """Without the setting the public page is a 404."""
    assert visit("admin").get(path).status_code == 404
    assert visit(NOBODY).get(path).status_code == 302


def test_a_change_of_role_counts_at_the_next_request(visit: Visit, credentials: Credentials) -> None:
    """A changed role applies to existing sessions."""
    client = visit("licensing")
    assert client.get("/licensing").status_code == 200
    with credentials.connect() as db:
        db.execute("UPDATE users SET role = 'product' WHERE name = 'licensing'")
    assert client.get("/licensing").status_code == 403


def test_a_post_from_another_site_is_refused(visit: Visit) -> None:
    """A post that the browser marks as from another site (Sec-Fetch-Site) is refused."""
    client = visit("admin")
    answer = client.post("/_dash-update-component", json={"output": "page"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert client.post("/logout", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/login", "/nothing", "/healthz", "/_dash-layout", "/assets/login/login.css", "/api/v1/x"]
)
@pytest.mark.parametrize("visitor", [NOBODY, "product"])
def test_every_answer_has_the_security_headers(read: Visit, path: str, visitor: str | None) -> None:
    """Every response has the security headers, including errors and redirects."""
    headers = read(visitor).get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["script-src"]


def test_a_second_app_in_one_process_is_as_good(app: Flask, visit: Visit, home: Home, engine: EmptyEngine) -> None:
    """Two apps in one process do not share state."""
    second = create_app(Settings(), home, engine)
    assert callbacks_of(second).pages.keys() == callbacks_of(app).pages.keys()
    assert visit("admin").get("/licensing").status_code == 200
    assert second.test_client().get("/").status_code == 302
