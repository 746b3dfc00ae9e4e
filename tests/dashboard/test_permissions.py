"""Every page and every callback, tried by everybody: nobody gets what the table of pages does not give them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from core.home import Home
from dashboard.permissions import API, API_RULES, EVERYONE, EXTENSION, PAGES, PUBLIC, Callbacks, Page
from tests.dashboard.conftest import EmptyEngine, call, output_of

Visit = Callable[[str | None], FlaskClient]
NOBODY = None
VISITORS = [NOBODY, *(role.value for role in Role)]
LICENSING = next(page for page in PAGES if page.name == "licensing")
HEALTH = next(page for page in PAGES if page.name == "health")


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
def test_a_page_opens_for_its_roles_alone(visit: Visit, page: Page, visitor: str | None, written: str) -> None:
    """However its address is written: nobody is sent to the login, the wrong role gets 403."""
    path = written.format("" if page.path == "/" and written == "{}/" else page.path)
    answer = visit(visitor).get(path)
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
    """Called by hand, without its page: 401 for nobody, 403 for the wrong role."""
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
    """A callback that is added past the table would be refused to all; this says so before a user does."""
    in_table = callbacks_of(app).pages
    for dependency in dependencies(visit):
        assert (dependency["clientside_function"] is None) == (dependency["output"] in in_table), dependency["output"]


def test_the_table_names_the_roles_of_what_is_not_for_all() -> None:
    """The license plane is not for the product role, and what only admins need is for them, whoever edits the table."""
    closed = {page.name: page.roles for page in PAGES if page.roles != EVERYONE}
    admin = frozenset({Role.ADMIN})
    assert closed == {
        "licensing": {Role.LICENSING, Role.ADMIN},
        "access_log": admin,
        "rights": admin,
        "health": admin,
    }


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("pathname", ["/licensing", "/licensing/", "//licensing"])
def test_the_routing_callback_gives_no_closed_layout(visit: Visit, visitor: str | None, pathname: str) -> None:
    """The routing callback is open to all who are logged in; a closed layout is not."""
    answer = call(visit(visitor), output_of(visit("admin"), "page"), {"url.pathname": pathname})
    assert answer.status_code == (401 if visitor is NOBODY else 200)
    assert ("licensing-grid" in answer.text) == allowed(LICENSING, visitor)


@pytest.mark.parametrize("role", list(Role))
def test_the_navigation_offers_what_opens(visit: Visit, role: Role) -> None:
    """And nothing else."""
    layout = visit(role.value).get("/_dash-layout").text
    for page in PAGES:
        assert (f'"nav":"{page.name}"' in layout) == (role in page.roles), page.name


@pytest.mark.parametrize("output", ["nothing.children", "app-shell.navbar", "", None, ["overview-message.children"]])
def test_an_unregistered_callback_is_refused(visit: Visit, output: Any) -> None:
    """Also one that runs in the browser only."""
    answer = visit("admin").post("/_dash-update-component", json={"output": output, "inputs": [], "state": []})
    assert answer.status_code == 403


def test_what_is_no_json_is_refused(visit: Visit) -> None:
    """Before Dash sees it."""
    client = visit("admin")
    assert client.post("/_dash-update-component", data=b"{").status_code == 403
    assert client.post("/_dash-update-component", json=[1]).status_code == 403


@pytest.mark.parametrize(
    "path", ["/_dash-layout", "/_dash-dependencies", "/_reload-hash", "/assets/pharos.css", "/_favicon.ico"]
)
def test_nothing_of_the_app_is_served_without_login(visit: Visit, path: str) -> None:
    """Scripts, layout and assets included; what the login page needs has a folder of its own."""
    assert visit(NOBODY).get(path).status_code == 401
    assert visit("product").get(path).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/login", "/assets/login/login.css", "/assets/login/mark.svg"])
def test_what_is_open_needs_no_login(visit: Visit, path: str) -> None:
    """Monitors have none, and the login page comes before it."""
    assert visit(NOBODY).get(path).status_code == 200


def test_the_read_api_takes_tokens_and_no_session(visit: Visit) -> None:
    """Its answer is its own, not a redirect to a page for people."""
    assert visit(NOBODY).get("/api/v1/metrics/installs").status_code == 401
    assert visit("admin").get("/api/v1/metrics/installs").status_code == 401
    assert visit("admin").get("/api/nothing").status_code == 404


def api_rules(app: Flask) -> list[str]:
    """The rules of the read API and of the two checks, as Flask knows them."""
    return sorted({rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")})


def test_every_path_of_the_read_api_has_a_rule(app: Flask) -> None:
    """One that is added past the table would be refused to all; this says so before a user does."""
    assert api_rules(app) == sorted(API_RULES)
    beside = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith(API)}
    assert beside <= set(API_RULES)


@pytest.mark.parametrize("role", [None, "made up", *Role])
def test_a_path_of_the_read_api_answers_its_roles_alone(
    app: Flask, visit: Visit, credentials: Credentials, role: Role | str | None
) -> None:
    """Without a token or with an unknown one 401, with that of another role 403; a login is no token."""
    token = credentials.add_token(role) if isinstance(role, Role) else role
    client = visit("admin")
    for rule in api_rules(app):
        path = rule.replace("<metric>", "installs").replace("<path:rest>", "nothing")
        answer = client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})
        roles = API_RULES[rule]
        if roles is None:
            assert answer.status_code == (404 if rule in ("/api/", "/api/<path:rest>") else 200), rule
        elif not isinstance(role, Role):
            assert answer.status_code == 401, rule
        else:
            assert answer.status_code == (200 if role in roles else 403), rule


def test_a_path_without_a_rule_opens_to_nobody(app: Flask, visit: Visit, credentials: Credentials) -> None:
    """Forgetting the rule closes the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(API_RULES, "/api/v1/licensing/flags")
        token = credentials.add_token(Role.ADMIN)
        answer = visit(NOBODY).get("/api/v1/licensing/flags", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


def test_the_table_of_the_read_api_names_who_sees_licenses() -> None:
    """Whoever edits it."""
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
    """Every route and method that Flask knows: a route that is added and lets a foreign form through fails here.

    An old browser does not say where a request comes from; what it can send without asking is a form or plain text.
    """
    tried = []
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}):
            path = re.sub(r"<[^>]+>", "x", rule.rule)
            answer = visit("admin").open(path, method=method, **sent)
            assert answer.status_code in (400, 401, 403, 405), f"{method} {path}"
            tried.append(path)
    assert {"/login", "/logout", "/_dash-update-component"} <= set(tried)


def test_an_address_that_is_no_page_is_404(visit: Visit) -> None:
    """In the app's look, for those who are logged in."""
    answer = visit("product").get("/nothing")
    assert answer.status_code == 404
    assert "Page not found" in answer.text
    assert visit(NOBODY).get("/nothing").status_code == 302


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_the_page_for_the_world_is_no_page_unless_it_is_switched_on(visit: Visit, path: str) -> None:
    """As any other address that is none."""
    assert visit("admin").get(path).status_code == 404
    assert visit(NOBODY).get(path).status_code == 302


def test_a_change_of_role_counts_at_the_next_request(visit: Visit, credentials: Credentials) -> None:
    """No session keeps what was taken away."""
    client = visit("licensing")
    assert client.get("/licensing").status_code == 200
    with credentials.connect() as db:
        db.execute("UPDATE users SET role = 'product' WHERE name = 'licensing'")
    assert client.get("/licensing").status_code == 403


def test_a_post_from_another_site_is_refused(visit: Visit) -> None:
    """The browser says where it comes from."""
    client = visit("admin")
    answer = client.post("/_dash-update-component", json={"output": "page"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert client.post("/logout", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/login", "/nothing", "/healthz", "/_dash-layout", "/assets/login/login.css", "/api/v1/x"]
)
@pytest.mark.parametrize("visitor", [NOBODY, "product"])
def test_every_answer_has_the_security_headers(visit: Visit, path: str, visitor: str | None) -> None:
    """Errors and redirects too; no script runs but ours, no eval, no frame around us."""
    headers = visit(visitor).get(path).headers
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
    """Neither app may lose or lend what is its own."""
    from core.settings import Settings
    from dashboard.app import create_app

    second = create_app(Settings(), home, engine)
    assert callbacks_of(second).pages.keys() == callbacks_of(app).pages.keys()
    assert visit("admin").get("/licensing").status_code == 200
    assert second.test_client().get("/").status_code == 302
