"""Login, logout and the session cookie."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from core.home import Home
from core.settings import Settings
from dashboard.app import create_app
from dashboard.login import safe_next
from tests.dashboard.conftest import PASSWORD, EmptyEngine, form_token

Visit = Callable[[str | None], FlaskClient]


def log_in(client: FlaskClient, **fields: str) -> tuple[int, str]:
    """Log in; return the status, and the page or the redirect."""
    form = {"name": "product", "password": PASSWORD, "token": form_token(client), **fields}
    answer = client.post("/login", data=form)
    return answer.status_code, answer.location or answer.text


def test_the_right_password_opens_the_page_that_was_asked_for(app: Flask) -> None:
    """After the login the requested page opens, with its filters."""
    client = app.test_client()
    asked = client.get("/features?module=invoice_pro&from=2026-11-01")
    assert asked.location == "/login?next=/features%3Fmodule%3Dinvoice_pro%26from%3D2026-11-01"
    assert 'value="/features?module=invoice_pro&amp;from=2026-11-01"' in client.get(asked.location).text
    assert log_in(client, next="/features?module=invoice_pro") == (303, "/features?module=invoice_pro")
    assert client.get("/features").status_code == 200


def test_a_wrong_name_and_a_wrong_password_read_the_same(app: Flask) -> None:
    """A wrong name and a wrong password get the same response, which reveals no names."""
    status, page = log_in(app.test_client(), password="wrong")
    assert status == 401
    assert "Name or password is wrong." in page
    other_status, other = log_in(app.test_client(), name="nobody", password="wrong")
    assert other_status == 401
    assert "Name or password is wrong." in other


def test_a_name_is_shown_again_as_text(app: Flask) -> None:
    """The entered name is escaped."""
    _, page = log_in(app.test_client(), name='"><script>alert(1)</script>', password="x")
    assert "<script" not in page


@pytest.mark.parametrize("token", ["", "made up", "é"])
def test_a_login_without_the_pages_token_is_refused(app: Flask, token: str) -> None:
    """A login without the page's CSRF token is refused."""
    client = app.test_client()
    assert log_in(client, token=token)[0] == 400
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "javascript:alert(1)", "/\t/evil.example", "/login", "/logout", "/nothing", "features", "", "http://[",
        "/features\r\nX: y", "/_dash-layout",
    ],
)  # fmt: skip
def test_the_login_leads_to_no_other_place(text: str) -> None:
    """The login redirects to pages of this app only."""
    assert safe_next(text) == "/"


@pytest.mark.parametrize("text", ["/", "/features", "/licensing?status=trial", "/?from=2026-11-01&to=2026-11-02"])
def test_the_login_leads_to_a_page_of_ours(text: str) -> None:
    """The redirect keeps the query."""
    assert safe_next(text) == text


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_the_cookie_is_for_the_browser_alone(app: Flask, scheme: str, secure: bool) -> None:
    """The cookie is HttpOnly, SameSite and, over https, Secure."""
    cookie = app.test_client().get("/login", base_url=f"{scheme}://localhost").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) == secure


@pytest.mark.parametrize(("proxies", "secure"), [(0, False), (1, True)])
def test_behind_a_proxy_the_cookie_of_the_login_is_for_https(
    home: Home, engine: EmptyEngine, credentials: Credentials, proxies: int, secure: bool
) -> None:
    """X-Forwarded-Proto counts only from a trusted proxy."""
    client = create_app(Settings(trusted_proxies=proxies), home, engine).test_client()
    https = {"X-Forwarded-Proto": "https"}
    found = re.search(r'name="token" value="([^"]+)"', client.get("/login", headers=https).text)
    assert found is not None
    form = {"name": "admin", "password": PASSWORD, "token": found[1]}
    # The client that is tried sends a `Secure` cookie over https alone, as a browser does; the proxy speaks http.
    sent = "; ".join(f"{cookie.key}={cookie.value}" for cookie in (client._cookies or {}).values())
    answer = client.post("/login", data=form, headers={**https, "Cookie": sent})
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert ("Secure" in cookie) == secure
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Domain" not in cookie


def test_a_session_from_before_the_login_is_worth_nothing_after(app: Flask) -> None:
    """The login replaces the session and its token, so that a planted one is useless."""
    client = app.test_client()
    before = form_token(client)
    assert log_in(client)[0] == 303
    assert client.post("/logout", data={"token": before}).status_code == 400


def test_a_removed_user_is_out_at_the_next_request(visit: Visit, credentials: Credentials) -> None:
    """After the removal of a user, pages redirect to the login and callbacks return 401."""
    client = visit("product")
    credentials.remove_user("product")
    assert client.get("/").status_code == 302
    assert client.post("/_dash-update-component", json={"output": "x"}).status_code == 401


def test_a_user_made_anew_does_not_get_the_old_session(visit: Visit, credentials: Credentials) -> None:
    """A new user with the same name does not get the old session."""
    client = visit("product")
    credentials.remove_user("product")
    credentials.add_user("product", Role.ADMIN, PASSWORD)
    assert client.get("/").status_code == 302


def test_logging_out_needs_the_apps_own_button(visit: Visit) -> None:
    """A link or form on another site cannot log a user out."""
    client = visit("product")
    assert client.get("/logout").status_code == 404
    assert client.post("/logout").status_code == 400
    assert client.get("/").status_code == 200
    client.get("/_dash-layout")
    with client.session_transaction() as session:
        token = session["csrf"]
    assert client.post("/logout", data={"token": token}).location == "/login"
    assert client.get("/").status_code == 302


def test_a_cookie_from_before_the_logout_is_worth_nothing(app: Flask) -> None:
    """The logout ends the session itself, so that a copied cookie is useless."""
    client, thief = app.test_client(), app.test_client()
    assert log_in(client)[0] == 303
    cookie = client.get_cookie("pharos_session")
    assert cookie is not None
    thief.set_cookie("pharos_session", cookie.value)
    assert thief.get("/").status_code == 200
    with client.session_transaction() as session:
        session["csrf"] = "token"
    assert client.post("/logout", data={"token": "token"}).location == "/login"
    assert client.get("/").status_code == thief.get("/").status_code == 302
    assert thief.post("/_dash-update-component", json={"output": "x"}).status_code == 401


def test_a_login_over_another_ends_that_one(app: Flask) -> None:
    """A second login in the same browser ends the first session."""
    client, copy = app.test_client(), app.test_client()
    assert log_in(client)[0] == 303
    cookie = client.get_cookie("pharos_session")
    assert cookie is not None
    copy.set_cookie("pharos_session", cookie.value)
    with client.session_transaction() as session:
        session["csrf"] = "token"
    form = {"name": "admin", "password": PASSWORD, "token": "token"}
    assert client.post("/login", data=form).status_code == 303
    assert copy.get("/").status_code == 302


def test_over_https_the_cookie_is_of_this_host_alone(app: Flask) -> None:
    """Over https the cookie has the prefix `__Host-`."""
    client = app.test_client()
    cookie = client.get("/login", base_url="https://localhost").headers["Set-Cookie"]
    assert cookie.startswith("__Host-pharos_session=")
    assert "; Secure" in cookie
    assert "; Path=/" in cookie
    assert "Domain" not in cookie
    found = re.search(r'name="token" value="([^"]+)"', client.get("/login", base_url="https://localhost").text)
    assert found is not None
    form = {"name": "product", "password": PASSWORD, "token": found[1]}
    assert client.post("/login", data=form, base_url="https://localhost").status_code == 303
    assert client.get("/", base_url="https://localhost").status_code == 200
    # A cookie that somebody planted under the plain name opens nothing over https, and the other way round.
    https = client.get_cookie("__Host-pharos_session")
    assert https is not None
    planted = app.test_client()
    planted.set_cookie("pharos_session", https.value)
    assert planted.get("/", base_url="https://localhost").status_code == 302


def test_who_is_logged_in_needs_no_login_page(visit: Visit) -> None:
    """The login page redirects users who are logged in."""
    assert visit("product").get("/login?next=/features").location == "/features"


def test_each_role_begins_where_its_work_is(app: Flask, visit: Visit) -> None:
    """Without a page that was asked for, the licensing team comes to its cases and all others to Today."""
    first = {role: visit(role).get("/login").location for role in ("product", "admin", "licensing")}
    assert first == {"product": "/", "admin": "/", "licensing": "/licensing"}
    assert visit("licensing").get("/login?next=/features").location == "/features"
    assert log_in(app.test_client(), name="licensing", next="/") == (303, "/licensing")


def test_a_forged_cookie_is_nobody(app: Flask) -> None:
    """A cookie with a forged signature is ignored."""
    client = app.test_client()
    client.set_cookie("pharos_session", "eyJfdXNlcl9pZCI6ImFkbWluIn0.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")
    assert client.get("/").status_code == 302
