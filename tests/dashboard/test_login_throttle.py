"""How often somebody may guess a password."""

from flask import Flask

from dashboard.login_throttle import MOST_FAILURES, WINDOW_SECONDS, Throttle
from tests.dashboard.conftest import PASSWORD, form_token


def test_an_address_that_failed_too_often_waits(app: Flask) -> None:
    """After ten failures even the right password is not looked at, and the answer says for how long."""
    client = app.test_client()
    form = {"name": "admin", "password": "wrong", "token": form_token(client)}
    statuses = [client.post("/login", data=form).status_code for _ in range(MOST_FAILURES + 1)]
    assert statuses == [401] * MOST_FAILURES + [429]
    answer = client.post("/login", data={**form, "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= WINDOW_SECONDS
    assert "Too many attempts" in answer.text
    elsewhere = client.post("/login", data={**form, "password": PASSWORD}, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert elsewhere.status_code == 303


def test_a_window_slides() -> None:
    """A failure counts for a quarter of an hour, and a success ends the count."""
    now = 0.0
    throttle = Throttle(lambda: now)
    for _ in range(MOST_FAILURES):
        throttle.failed("a")
        now += 10
    assert throttle.wait("a") == WINDOW_SECONDS - 10 * MOST_FAILURES
    assert throttle.wait("b") == 0
    now = WINDOW_SECONDS
    assert throttle.wait("a") == 0
    throttle.failed("a")
    assert throttle.wait("a") == 10
    throttle.passed("a")
    assert throttle.wait("a") == 0
