"""Prometheus metrics of the dashboard, at `/metrics`. It is one process, so they are in its memory.

`METRICS` lists them all. The reference, the alert rules and the Grafana board are checked against it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from core import logs
from core.credentials import Credentials
from core.scrapes import Meaning, may_scrape
from core.sessions import Sessions
from dashboard.permissions import API, CALLBACKS, PROBES, is_page_request
from dashboard.readiness import Readiness
from dashboard.sent_emails import KINDS, OUTCOMES, Kind, Outcome
from warehouse.engine import Engine, EngineError

REQUESTS = Meaning(
    "pharos_dashboard_requests",
    "counter",
    "answers of the dashboard by `kind` (`page`, `callback`: a figure of a page, `api`, `login`, `file`) and `status`; "
    "429 is a refusal, and not all callbacks that fail have a status that says so",
    ("kind", "status"),
)
QUERIES = Meaning(
    "pharos_queries",
    "counter",
    "queries of pages and read API by `outcome`: `answered`, `limited` (more than `PHAROS_QUERY_SECONDS` or another "
    "limit), `cancelled` (nobody waits any more), `failed`",
    ("outcome",),
)
SECONDS = Meaning("pharos_query_seconds", "counter", "the time that these took in all")
SESSIONS = Meaning("pharos_sessions", "gauge", "open sessions of the dashboard")
FAILING = Meaning(
    "pharos_figures_failing_seconds",
    "gauge",
    "how long the dashboard has not been able to read the figures, as far as it knows; 0 while it can",
)
EMAILS = Meaning(
    "pharos_emails",
    "counter",
    "e-mails of saved views by `kind` (`digest`, `alert`, `cases`) and `outcome` (`sent`, `failed`), if there is a "
    "mail server; one that fails is tried again, and each try counts",
    ("kind", "outcome"),
)
METRICS = [REQUESTS, QUERIES, SECONDS, SESSIONS, FAILING, EMAILS]


class DashboardMetrics:
    """The metrics of one app."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, with when it began
        self._registry = CollectorRegistry()
        self._requests, self._queries, self._seconds = map(self._counter, (REQUESTS, QUERIES, SECONDS))
        self._emails = self._counter(EMAILS)

    def _counter(self, metric: Meaning) -> Counter:
        return Counter(metric.name, metric.meaning, metric.labels, registry=self._registry)

    def count_query(self, outcome: str, seconds: float) -> None:
        """Count a query of ClickHouse that has ended."""
        self._queries.labels(outcome).inc()
        self._seconds.inc(seconds)

    def count_email(self, kind: Kind, outcome: Outcome) -> None:
        """Count an e-mail that was sent or failed."""
        self._emails.labels(kind, outcome).inc()

    def sends_emails(self) -> None:
        """Begin the series of e-mails with 0: Prometheus sees no increase in one that begins with 1."""
        for kind in KINDS:
            for outcome in OUTCOMES:
                self._emails.labels(kind, outcome)

    def register(
        self, server: Flask, engine: Engine, credentials: Credentials, sessions: Sessions, metrics_token: str
    ) -> None:
        """Count the answers of `server`, and add `/metrics` to it."""
        self._registry.register(_State(Readiness(engine), sessions))

        @server.after_request
        def count(response: Response) -> Response:
            if request.path not in PROBES:
                self._requests.labels(_kind(), str(response.status_code)).inc()
            return response

        @server.get("/metrics")
        def get_metrics() -> Response:
            if not may_scrape(request.environ, credentials, metrics_token):
                logs.refused(401, "unauthorized")
                why = "needs loopback, an admin token or the token in PHAROS_METRICS_TOKEN\n"
                return Response(why, 401, {"WWW-Authenticate": "Bearer"}, content_type="text/plain")
            return Response(generate_latest(self._registry), content_type="text/plain; version=0.0.4")


def _kind() -> str:
    if request.path == "/login":
        return "login"
    if request.path.startswith(API):
        return "api"
    if request.path == CALLBACKS:
        return "callback"
    return "page" if is_page_request() else "file"


class _State:
    """What each scrape reads."""

    def __init__(self, readiness: Readiness, sessions: Sessions) -> None:
        self._readiness, self._sessions = readiness, sessions

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(SESSIONS.name, SESSIONS.meaning, self._sessions.count())
        yield GaugeMetricFamily(FAILING.name, FAILING.meaning, self._failing_seconds())

    def _failing_seconds(self) -> float:
        try:
            self._readiness.check()
        except EngineError as error:
            since = error.trouble.since if error.trouble else datetime.now(UTC)
            # Not 0, which means that all is well.
            return max(0.001, (datetime.now(UTC) - since).total_seconds())
        return 0.0
