"""The dashboard's `/metrics`: what it counts, and who may read it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from core.home import Home
from core.settings import Settings
from dashboard import question_limit
from dashboard.app import create_app
from dashboard.metrics import METRICS
from tests.dashboard.conftest import PASSWORD, EmptyEngine, form_token
from warehouse.engine import Trouble

Visit = Callable[[str | None], FlaskClient]
PROXIED = {"X-Forwarded-For": "192.0.2.1"}


def scrape(app: Flask) -> dict[str, float]:
    """Return the values of a scrape, by series with its labels."""
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    return {name: float(value) for name, value in re.findall(r"^(pharos_.+) (\S+)$", answer.text, re.MULTILINE)}


def requests(kind: str, status: int) -> str:
    return f'pharos_dashboard_requests_total{{kind="{kind}",status="{status}"}}'


def test_a_scrape_has_the_metrics_of_the_list_and_no_other(app: Flask, visit: Visit, credentials: Credentials) -> None:
    """Each has its kind, and its labels are those of the list."""
    visit(None).get(
        "/api/v1/metrics/installs", headers={"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    )
    text = app.test_client().get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    assert kinds == {each.series: each.kind for each in METRICS}
    for each in METRICS:
        for labels in re.findall(rf"^{each.series}\{{(.*)\}} ", text, re.MULTILINE):
            assert tuple(re.findall(r'(\w+)="', labels)) == each.labels


def test_answers_are_counted_by_kind_and_status(app: Flask, credentials: Credentials) -> None:
    """Pages, files, logins and the read API; probes are not counted."""
    client = app.test_client()
    assert client.get("/features").status_code == 302
    form = {"name": "product", "password": "wrong", "token": form_token(client)}
    assert client.post("/login", data=form).status_code == 401
    assert client.post("/login", data=form | {"password": PASSWORD}).status_code == 303
    assert client.get("/features").status_code == 200
    assert client.get("/_map.json").status_code == 200
    assert client.get("/api/v1/metrics/installs").status_code == 401
    assert client.post("/_dash-update-component", json={}).status_code == 403
    client.get("/healthz")
    client.get("/readyz")
    found = scrape(app)
    expected = [
        ("page", 302), ("login", 401), ("login", 303), ("page", 200), ("file", 200), ("api", 401), ("callback", 403),
    ]  # fmt: skip
    assert [found[requests(*each)] for each in expected] == [1] * len(expected)
    assert sum(value for name, value in found.items() if name.startswith("pharos_dashboard_requests_total")) == 8
    assert found["pharos_sessions"] == 1


def test_a_refusal_of_too_many_questions_is_counted(
    app: Flask, visit: Visit, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 429 is there with the kind of its asker."""
    monkeypatch.setattr(question_limit, "MOST_WAITING", 0)
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    answer = visit(None).get("/api/v1/metrics/installs", headers=headers)
    assert answer.status_code == 429
    assert scrape(app)[requests("api", 429)] == 1


def test_queries_are_counted_by_outcome(
    app: Flask, visit: Visit, engine: EmptyEngine, credentials: Credentials
) -> None:
    """Those that ClickHouse answers, and those that fail."""
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    assert visit(None).get("/api/v1/metrics/installs", headers=headers).status_code == 200
    before = scrape(app)
    assert before['pharos_queries_total{outcome="answered"}'] > 0
    assert before["pharos_query_seconds_total"] > 0
    engine.away = True
    assert visit(None).get("/api/v1/metrics/installs", headers=headers).status_code == 503
    assert scrape(app)['pharos_queries_total{outcome="failed"}'] > before.get(
        'pharos_queries_total{outcome="failed"}', 0
    )


def test_a_scrape_tells_how_long_the_figures_fail(home: Home, engine: EmptyEngine) -> None:
    """It asks ClickHouse itself, so an alert needs no reader who meets the failure first."""
    app = create_app(Settings(home=home.path), home, engine)
    assert scrape(app)["pharos_figures_failing_seconds"] == 0
    engine.away = True
    engine._trouble = Trouble(datetime.now(UTC) - timedelta(minutes=10), "does not answer")
    app = create_app(Settings(home=home.path), home, engine)
    assert scrape(app)["pharos_figures_failing_seconds"] >= 600


def test_metrics_are_for_loopback_a_token_of_theirs_or_an_admin(
    home: Home, engine: EmptyEngine, credentials: Credentials
) -> None:
    """Through a proxy, even of this machine, a scrape needs a token. A session does not do."""
    app = create_app(Settings(home=home.path, metrics_token="scrape" * 4), home, engine)
    admin, product = (credentials.add_token(role) for role in (Role.ADMIN, Role.PRODUCT))
    for token, status in ((admin, 200), ("scrape" * 4, 200), (product, 401), ("scrape", 401), ("", 401)):
        headers = PROXIED | {"Authorization": f"Bearer {token}"}
        assert app.test_client().get("/metrics", headers=headers).status_code == status
    unset = create_app(Settings(home=home.path), home, engine)
    assert unset.test_client().get("/metrics", headers=PROXIED | {"Authorization": "Bearer "}).status_code == 401
    reader = app.test_client()
    form = {"name": "admin", "password": PASSWORD, "token": form_token(reader)}
    assert reader.post("/login", data=form).status_code == 303
    assert reader.get("/metrics", headers=PROXIED).status_code == 401
