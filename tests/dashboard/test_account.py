"""The account page."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials
from core.sessions import Sessions
from dashboard.login_throttle import MOST_FAILURES
from tests.dashboard.conftest import PASSWORD

Visit = Callable[[str | None], FlaskClient]
NEW = "four random words indeed"


def post(client: FlaskClient, path: str, **form: str) -> tuple[int, str]:
    """Submit a form of the page; return the status, and the page or the redirect."""
    found = re.search(r'name="token" value="([^"]+)"', client.get("/account").text)
    assert found is not None
    answer = client.post(path, data={"token": found[1], **form})
    return answer.status_code, answer.location or answer.text


def change(client: FlaskClient, **form: str) -> tuple[int, str]:
    """Try to change the password."""
    return post(client, "/account/password", **{"password": PASSWORD, "new": NEW, "again": NEW, **form})


@pytest.mark.parametrize("name", ["product", "licensing", "admin"])
def test_everybody_has_an_account(visit: Visit, name: str) -> None:
    """Users of every role can open the page."""
    assert f"Account of {name}" in visit(name).get("/account").text


def test_nobody_has_none(visit: Visit) -> None:
    """Without a login the page redirects to the login, and its forms are refused."""
    client = visit(None)
    assert client.get("/account").status_code == 302
    assert client.post("/account/password").status_code == 401
    assert client.post("/account/sessions").status_code == 401


def test_a_changed_password_ends_all_other_sessions(visit: Visit, credentials: Credentials) -> None:
    """A changed password ends all other sessions and renews the current one, so that a copied cookie is useless."""
    here, elsewhere, copy = visit("product"), visit("product"), visit(None)
    for cookie in (here.get_cookie("pharos_session"),):
        assert cookie is not None
        copy.set_cookie("pharos_session", cookie.value)
    assert copy.get("/").status_code == 200
    assert change(here) == (303, "/account?done=password")
    assert here.get("/").status_code == 200
    assert copy.get("/").status_code == elsewhere.get("/").status_code == 302
    assert credentials.log_in("product", PASSWORD) is None
    assert credentials.log_in("product", NEW) is not None


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"password": "wrong"}, 401, "current password is wrong"),
        ({"again": "something else"}, 422, "do not match"),
        ({"new": "short", "again": "short"}, 422, "too weak"),
        ({"new": "product12345", "again": "product12345"}, 422, "too weak"),
        ({"token": "made up"}, 400, "open for too long"),
    ],
)
def test_a_change_that_is_refused_changes_nothing(
    visit: Visit, credentials: Credentials, form: dict[str, str], status: int, said: str
) -> None:
    """A refused change shows the reason and changes nothing."""
    client = visit("product")
    answer = change(client, **form)
    assert answer[0] == status
    assert said in answer[1]
    assert credentials.log_in("product", PASSWORD) is not None
    assert client.get("/").status_code == 200


def test_an_open_session_is_no_way_to_guess_the_password(visit: Visit) -> None:
    """Attempts on this page are throttled like logins."""
    client = visit("product")
    statuses = [change(client, password="wrong")[0] for _ in range(MOST_FAILURES + 1)]
    assert statuses == [401] * MOST_FAILURES + [429]


def test_sessions_are_listed_and_ended(visit: Visit, credentials: Credentials, app: Flask) -> None:
    """A user sees and ends only their own sessions: one, or all but the current one."""
    here, second, third, other = visit("product"), visit("product"), visit("product"), visit("admin")
    page = here.get("/account").text
    ids = re.findall(r'name="id" value="([^"]+)"', page)
    assert len(ids) == 2
    assert "(this one)" in page
    (foreign,) = Sessions(credentials).of("admin")
    post(here, "/account/sessions", id=foreign.id)
    assert other.get("/").status_code == 200
    assert post(here, "/account/sessions", id=ids[0]) == (303, "/account?done=ended")
    assert sorted([second.get("/").status_code, third.get("/").status_code]) == [200, 302]
    assert post(here, "/account/sessions")[0] == 303
    assert [client.get("/").status_code for client in (here, second, third, other)] == [200, 302, 302, 200]
