"""The public page: complete, without cookies, scripts and small figures, and cheap for the engine."""

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from collector.planes import Planes
from core.credentials import Credentials, Role
from core.fields import FIELDS, columns, example
from core.home import Home
from core.settings import Settings
from dashboard.app import create_app
from dashboard.permissions import PUBLIC
from dashboard.public_page import KEPT_SECONDS, MADE, Totals, kept
from tests.dashboard.conftest import EmptyEngine
from tests.docs.markdown import page, tables
from warehouse.engine import EngineError
from warehouse.queries import metrics

Visit = Callable[[str | None], FlaskClient]
SETTINGS = Settings(
    public_page="on", region="Frankfurt, <b>Germany</b>", policy_version="2026-11", contact="a@b.example"
)


@pytest.fixture
def app(home: Home, engine: EmptyEngine, credentials: Credentials) -> Flask:
    return create_app(SETTINGS, home, engine)


class Figures:
    """Replaces `metrics.answer`, and counts its calls."""

    def __init__(self, total: int | None, **modules: int | None) -> None:
        self.total, self.modules = total, modules
        self.asked: list[metrics.MetricQuery] = []

    def __call__(self, _engine: Any, query: metrics.MetricQuery, k: int, *, rounded: bool) -> dict[str, Any]:
        self.asked.append(query)
        assert k == 5
        assert rounded
        rows: list[tuple[str | None, int | None]] = [(None, self.total)]
        if query.by == "module":
            rows = [(name.replace("other", "(other)"), value) for name, value in self.modules.items()]
        rows = [(key, value // k * k if value else None) for key, value in rows]
        return {"rows": [{"bucket": "2026-11-01", "key": key, "value": value} for key, value in rows]}


def told(client: FlaskClient) -> Any:
    return client.get("/privacy.json").json


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_it_is_open_to_all_and_the_same_for_all(visit: Visit, path: str) -> None:
    """The page is the same with and without a login."""
    data = [visit(visitor).get(path) for visitor in (None, *(role.value for role in Role))]
    assert {answer.status_code for answer in data} == {200}
    assert len({answer.data for answer in data}) == 1
    assert visit(None).post(path).status_code == 405


@pytest.mark.parametrize("path", sorted(PUBLIC))
@pytest.mark.parametrize("cookie", ["", "pharos_session=garbage", "remember_token=admin|0"])
def test_no_cookie_is_set_or_read(
    app: Flask, visit: Visit, monkeypatch: pytest.MonkeyPatch, path: str, cookie: str
) -> None:
    """The page sets no cookie and reads none."""

    def looked_up(*_: Any) -> None:
        raise AssertionError("a visitor was looked up")

    client = visit("admin")
    with client.session_transaction() as session:
        session.permanent = True
    monkeypatch.setattr(Credentials, "user", looked_up)
    for answer in (app.test_client().get(path, headers={"Cookie": cookie}), client.get(path)):
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")


def test_a_slash_at_the_end_of_the_address_changes_nothing(visit: Visit) -> None:
    """As for the other pages."""
    assert visit(None).get("/privacy/").data == visit(None).get("/privacy").data


def test_the_session_of_the_other_pages_is_left_alone(visit: Visit) -> None:
    """Visiting the page does not change a session."""
    client = visit("product")
    client.get("/privacy")
    assert client.get("/").status_code == 200


def test_nothing_runs_and_nobody_else_is_asked(visit: Visit) -> None:
    """The page has no script, form or inline style, and loads only open assets from this host."""
    answer = visit(None).get("/privacy")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "style-src": "'self'", "img-src": "'self'", "form-action": "'none'",
        "base-uri": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script|<form|<iframe|<style|\sstyle=|\son\w+=|://", answer.text)
    loaded = set(re.findall(r'(?:href|src)="([^"]*)"', answer.text))
    assert loaded == {"/assets/login/login.css", "/assets/login/mark.svg", "/privacy.json"}
    assert all(visit(None).get(path).status_code == 200 for path in loaded)


def test_all_that_the_planes_hold_is_told() -> None:
    """Each stored column is on the page, as a field or as a derived value."""
    made = Planes(b"a root secret").split(example(), "203.0.113.9", datetime(2026, 11, 22, tzinfo=UTC))
    usage = {column for _, column in columns("usage")} | {field.usage for _, field in MADE}
    license = {column for _, column in columns("license")} | {field.license for _, field in MADE}
    assert usage - {""} == set(made.usage)
    assert license - {""} == set(made.license)


def test_every_field_is_told_with_its_plane_and_consent_level(visit: Visit) -> None:
    """Each field is listed with its plane and consent level, in the order of the table."""
    fields = told(visit(None))["beacon"]
    assert [field["name"] for field in fields] == [field.path for field in FIELDS]
    for field, row in zip(FIELDS, fields, strict=True):
        assert row["planes"] == [plane for plane in ("usage", "license") if getattr(field, plane)]
        assert row["consent"] == (["full"] if field.full else ["license", "full"])
    html = visit(None).get("/privacy").text
    shown = re.findall(
        r"<dt><code>(.+?)</code></dt>\s*<dd>\s*(.+?)\s*<span class=\"where\">(.+?)</span>", html, re.DOTALL
    )
    assert [(name, what) for name, what, _ in shown] == [(field.path, escape(field.doc)) for field in FIELDS]
    where = {name: place.strip() for name, _, place in shown}
    assert where["module.name"] == "Stored in both planes"
    assert where["license.source"] == "Stored in the license plane"
    assert where["features"] == "Stored in the usage plane · only at consent level full"
    assert where["install_id"] == "Stored only as pseudonym of the install and pseudonym in counts by license source"
    assert where["sent_at"] == "Stored only as day and time"
    assert where["reason"] == "Not stored"


def test_how_long_is_what_the_reference_says(visit: Visit) -> None:
    """The retention periods are those of the reference."""
    reference = tables(page("docs/reference.md"))["what | where | kept"]
    of_none = re.compile("freshness|states_key|migrations|rejections")
    about_installs = [(row[0], row[2]) for row in reference if not of_none.search(row[1])]
    assert kept(Settings()) == about_installs
    html = visit(None).get("/privacy").text
    assert all(f"<dt>{escape(what)}</dt><dd>{how_long}</dd>" in html for what, how_long in kept(Settings()))


def test_every_right_is_told(visit: Visit) -> None:
    """Each owner right is listed with the request and its address."""
    html = visit(None).get("/privacy").text
    assert "POST /v1/rights" in html
    for action in ("access", "erase", "rectify", "object", "restrict", "lift"):
        assert f"<dt><code>{action}</code></dt>" in html


def test_what_the_operator_says_is_told_as_text(visit: Visit, home: Home, engine: EmptyEngine) -> None:
    """Region, policy and contact are shown, escaped, if they are set."""
    html = visit(None).get("/privacy").text
    assert "Frankfurt, &lt;b&gt;Germany&lt;/b&gt;" in html
    assert "version 2026-11" in html
    assert "a@b.example" in html
    assert [told(visit(None))[name] for name in ("region", "policy_version", "contact")] == [
        "Frankfurt, <b>Germany</b>", "2026-11", "a@b.example",
    ]  # fmt: skip
    bare = create_app(Settings(public_page="on"), home, engine).test_client()
    assert 'class="facts"' not in bare.get("/privacy").text
    assert bare.get("/privacy.json").json["region"] is None  # type: ignore[index]


def test_synthetic_data_are_said_to_be_synthetic(visit: Visit, home: Home) -> None:
    """The page marks synthetic data."""
    said = "Synthetic demonstration data"
    assert said not in visit(None).get("/privacy").text
    home.synthetic.touch()
    assert said in visit(None).get("/privacy").text


def test_without_clickhouse_all_but_the_figures_is_there(visit: Visit, engine: EmptyEngine) -> None:
    """Without ClickHouse the page lacks only the figures, and shows no part of the error."""
    engine.away = True
    answer = visit(None).get("/privacy")
    assert answer.status_code == 200
    assert "The figures cannot be read right now." in answer.text
    assert "refused" not in answer.text.partition("How many installs")[2]
    assert "<code>license.source</code>" in answer.text
    assert told(visit(None))["active"] is None


def test_the_figures_are_of_days_that_are_over(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures cover the 30 days up to yesterday."""
    figures = Figures(1237, invoice_pro=1002, domain_tools=49, other=5)
    monkeypatch.setattr(metrics, "answer", figures)
    html = visit(None).get("/privacy").text
    assert "<strong>1\u202f235</strong>" in html
    assert "<dt>invoice_pro</dt><dd>1\u202f000</dd>" in html
    assert "<dt>domain_tools</dt><dd>45</dd>" in html
    assert "<dt>other modules</dt><dd>5</dd>" in html
    assert [query.by for query in figures.asked] == [None, "module"]
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert {(query.start, query.end) for query in figures.asked} == {(yesterday - timedelta(days=29), yesterday)}


def test_the_world_cannot_tell_few_installs_from_none(
    home: Home, engine: EmptyEngine, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer than k installs look like none. Figures change in steps of k."""

    def bodies(figures: Figures) -> list[bytes]:
        monkeypatch.setattr(metrics, "answer", figures)
        client = create_app(SETTINGS, home, engine).test_client()
        return [client.get(path).data for path in sorted(PUBLIC)]

    assert b"fewer than 5 installs." in bodies(Figures(0))[0]
    assert bodies(Figures(0)) == bodies(Figures(None, other=None))
    assert bodies(Figures(10, invoice_pro=10)) == bodies(Figures(14, invoice_pro=13))
    assert bodies(Figures(10, invoice_pro=10)) != bodies(Figures(15, invoice_pro=13))


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_engine_is_asked_once_a_minute(engine: EmptyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is queried at most once a minute, also while it is unavailable."""
    figures, clock = Figures(50, invoice_pro=50), Clock()
    monkeypatch.setattr(metrics, "answer", figures)
    totals = Totals(engine, 5, clock)
    assert KEPT_SECONDS >= 60
    for _ in range(100):
        assert totals.get() is not None
    assert len(figures.asked) == 2

    def away(_engine: Any, query: metrics.MetricQuery, _k: int, *, rounded: bool) -> Any:
        figures.asked.append(query)
        raise EngineError("gone")

    monkeypatch.setattr(metrics, "answer", away)
    clock.now += KEPT_SECONDS
    assert [totals.get() for _ in range(100)] == [None] * 100
    assert len(figures.asked) == 3
    monkeypatch.setattr(metrics, "answer", figures)
    clock.now += KEPT_SECONDS
    assert totals.get() is not None


def test_nobody_waits_while_another_asks(engine: EmptyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request waits for the engine, others get the last known figures."""
    figures, clock = Figures(50, invoice_pro=50), Clock()
    monkeypatch.setattr(metrics, "answer", figures)
    totals = Totals(engine, 5, clock)
    before = totals.get()
    entered, go_on = threading.Event(), threading.Event()

    def hangs(*args: Any, rounded: bool) -> dict[str, Any]:
        entered.set()
        assert go_on.wait(10)
        return Figures(90)(*args, rounded=rounded)

    monkeypatch.setattr(metrics, "answer", hangs)
    clock.now += KEPT_SECONDS
    first = threading.Thread(target=totals.get)
    first.start()
    assert entered.wait(10)
    assert totals.get() is before
    go_on.set()
    first.join()
    after = totals.get()
    assert after is not None
    assert after["installs"] == 90
