"""The limit on failed logins."""

import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.login_throttle import (
    MOST_FAILURES,
    MOST_FAILURES_OF_ACCOUNT,
    MOST_KEPT,
    WINDOW_SECONDS,
    Throttle,
    network,
)
from tests.dashboard.conftest import PASSWORD, form_token


def log_in(client: FlaskClient, name: str, password: str, address: str = "127.0.0.1") -> int:
    """Try to log in; return the status."""
    form = {"name": name, "password": password, "token": form_token(client)}
    return client.post("/login", data=form, environ_base={"REMOTE_ADDR": address}).status_code


def test_an_address_that_failed_too_often_waits(app: Flask) -> None:
    """After ten failures an address must wait, even with the right password. The response has the waiting time."""
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


def test_a_login_of_ones_own_clears_no_guesses_at_another(app: Flask) -> None:
    """A successful login does not reset the failures at other accounts."""
    guesses = []
    for _ in range(12):
        guesses += [log_in(app.test_client(), "admin", "wrong") for _ in range(3)]
        log_in(app.test_client(), "product", PASSWORD)
    assert guesses.count(401) == MOST_FAILURES
    assert guesses[MOST_FAILURES:] == [429] * (36 - MOST_FAILURES)


def test_a_network_of_ipv6_is_one_address(app: Flask) -> None:
    """All addresses of an IPv6 /64 network count together."""
    statuses = [
        log_in(app.test_client(), "admin", "wrong", f"2001:db8:1:2::{number:x}") for number in range(MOST_FAILURES + 5)
    ]
    assert statuses == [401] * MOST_FAILURES + [429] * 5
    assert log_in(app.test_client(), "admin", PASSWORD, "2001:db8:1:3::1") == 303


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::/64"),
        ("2001:DB8:0:0:ffff::1", "2001:db8::/64"), ("fe80::1%eth0", "fe80::/64"), ("", ""), ("unix:", "unix:"),
    ],
)  # fmt: skip
def test_what_counts_as_one_address(address: str, counts_as: str) -> None:
    """Different spellings of an address count together."""
    assert network(address) == counts_as


def test_an_account_has_a_limit_over_all_addresses() -> None:
    """An account has a limit across all addresses, except for addresses from which its user logged in before."""
    throttle = Throttle(lambda: 0.0)
    assert throttle.attempt("192.0.2.1", "admin") == 0
    throttle.passed("192.0.2.1", "admin")
    guesses = [throttle.attempt(f"198.51.100.{number}", "admin") for number in range(100)]
    assert guesses == [0] * MOST_FAILURES_OF_ACCOUNT + [WINDOW_SECONDS] * (100 - MOST_FAILURES_OF_ACCOUNT)
    assert throttle.attempt("192.0.2.1", "admin") == 0
    assert throttle.attempt("198.51.100.99", "product") == 0


def test_attempts_at_one_moment_are_counted() -> None:
    """An attempt counts before its password is verified, so that simultaneous attempts count too."""
    throttle = Throttle(lambda: 0.0)
    waits: list[int] = []
    threads = [threading.Thread(target=lambda: waits.append(throttle.attempt("a", "admin"))) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits.count(0) == MOST_FAILURES


def test_a_window_slides() -> None:
    """A failure counts for 15 minutes. A successful login clears the failures of its account."""
    now = 0.0
    throttle = Throttle(lambda: now)
    for _ in range(MOST_FAILURES):
        assert throttle.attempt("a", "admin") == 0
        now += 10
    assert throttle.attempt("a", "admin") == WINDOW_SECONDS - 10 * MOST_FAILURES
    assert throttle.attempt("b", "admin") == 0
    now = WINDOW_SECONDS
    assert throttle.attempt("a", "admin") == 0
    assert throttle.attempt("a", "admin") == 10
    now += 10
    assert throttle.attempt("a", "admin") == 0
    throttle.passed("a", "admin")
    assert [throttle.attempt("a", "admin") for _ in range(MOST_FAILURES)] == [0] * MOST_FAILURES


def test_names_and_addresses_that_are_made_up_take_no_memory() -> None:
    """The number of remembered names and addresses is limited. The oldest is dropped."""
    throttle = Throttle(lambda: 0.0)
    for number in range(MOST_KEPT + 10):
        throttle.attempt(str(number), str(number))
        throttle.passed(str(number), str(number))
        throttle.attempt(str(number), str(number))
    assert len(throttle._addresses) == len(throttle._accounts) == len(throttle._known) == MOST_KEPT
