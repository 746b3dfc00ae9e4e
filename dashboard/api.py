"""The read API: the figures of the charts as JSON. Clients authenticate with a token."""

import contextlib
import logging
import re
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed

from core.access_log import AccessLog, AccessLogError
from core.catalog import Catalog
from core.credentials import Credentials, Role, Token, bearer
from core.fields import FIELDS
from core.license_keys import LicenseKeys
from core.releases import Releases
from core.saved_views import SavedViews, View, ViewError
from core.settings import Settings
from dashboard import cases_api, openapi, reported_releases, trends_api
from dashboard.audited_licensing import AuditedLicensing
from dashboard.casework import Casework
from dashboard.largest import largest, parse_limit
from dashboard.narrow_questions import NarrowQuestions, should_report
from dashboard.permissions import API_RULES, RELEASES, REPORTERS, VIEWS
from dashboard.problems import Problem as _Problem
from dashboard.problems import json_answer as _json
from dashboard.problems import problem_answer as _problem
from dashboard.question_limit import QuestionLimit, TooManyQuestions
from dashboard.question_terms import is_limited, question_terms
from dashboard.readiness import Readiness
from dashboard.report import Rendered
from warehouse.engine import Engine, EngineError, Trouble
from warehouse.licensing.state_codec import Unreadable
from warehouse.limited_engine import LimitExceeded
from warehouse.queries import disclosure, metrics
from warehouse.queries.differencing import Differencing
from warehouse.queries.metric_query import printable
from warehouse.queries.metrics import MetricQuery, QueryError
from warehouse.queries.questions import QUESTIONS, ask

# Of the body of a POST, in bytes.
MOST_BODY = 1024
# Parameters that count as not given when they are empty. All others are filters.
OPTIONAL = frozenset({"from", "to", "grain", "by", "count", "limit", "cursor", "days", "sort"})
KEY_HASH = re.compile(next(field.pattern for field in FIELDS if field.path == "license.key_hash"), re.ASCII)

log = logging.getLogger("pharos.api")


def blueprint(
    settings: Settings,
    engine: Engine,
    credentials: Credentials,
    access_log: AccessLog,
    license_keys: LicenseKeys,
    casework: Casework,
    narrow: NarrowQuestions,
    limit: QuestionLimit,
    catalog: Callable[[], Catalog],
    releases: Releases,
    views: SavedViews,
    report: Callable[[View, Role], Rendered],
) -> Blueprint:
    """`/api/v1/…`, and `/healthz` and `/readyz` of this process."""
    routes = Blueprint("api", __name__)
    audited = AuditedLicensing(engine, access_log, settings.k, license_keys)
    differencing = Differencing(settings.k)
    strict = settings.strict and settings.k > 1 and not settings.rounded
    readiness = Readiness(engine)
    document = openapi.document()

    @routes.before_request
    def check() -> None:
        rule = request.url_rule.rule if request.url_rule else ""
        roles = API_RULES.get(rule, frozenset())
        if roles is None or request.method == "OPTIONS":
            return
        token = credentials.token(bearer(request.headers.get("Authorization")))
        if token is None:
            raise _Problem(401, "unauthorized", "", "Authorization: Bearer <read-API token> is missing or unknown")
        if request.method == "POST" and rule == RELEASES:
            roles = roles & REPORTERS
        if token.may not in roles:
            raise _Problem(403, "forbidden", "", f"requires one of the roles {', '.join(sorted(roles)) or '(none)'}")
        g.token = token
        try:
            limit.begin(f"token {token.id}")
        except TooManyQuestions:
            raise _Problem(429, "rate_limited", "", "too many questions of this token at once") from None

    @routes.get("/api/v1/metrics/<metric>")
    def get_metric(metric: str) -> Response:
        if metric in QUESTIONS:
            return get_question(metric)
        if metric not in metrics.METRICS:
            raise _Problem(404, "not_found", "", f"the metrics are {', '.join((*metrics.METRICS, *QUESTIONS))}")
        arguments = _arguments()
        most = parse_limit(arguments.pop("limit", ""))
        today = datetime.now(UTC).date()
        query = metrics.parse(metric, arguments, today)
        open_from = disclosure.open_from(g.token.role, settings.k, today)
        token = g.token
        withhold = partial(differencing.withhold, token.id) if strict and token.role is not Role.ADMIN else None
        answer = metrics.answer(
            engine,
            query,
            settings.k,
            rounded=settings.rounded,
            open_from=open_from,
            hide_open=disclosure.hides_open_days(token.role),
            withhold=withhold,
        )
        if is_limited(g.token.role, settings):
            _hold_back(g.token, query, answer)
        return _json(200, answer if most is None else largest(answer, most))

    def get_question(name: str) -> Response:
        token, today = g.token, datetime.now(UTC).date()
        terms, last_day = question_terms(token.role, settings, catalog(), today)
        answer = ask(engine, name, _arguments(), terms, today, last_day)
        if is_limited(token.role, settings) and answer["filters"] and _hides(answer["rows"]):
            asked_for = name, *sorted(request.args.items())
            _delay(token, name, *narrow.count(token.id, asked_for))
        return _json(200, answer)

    def _hold_back(token: Token, query: MetricQuery, answer: dict[str, Any]) -> None:
        """Let a token that looks for single installs wait, and tell the admin of it."""
        _delay(token, query.metric, *narrow.asked(token.id, query, answer["rows"]))

    def _delay(token: Token, metric: str, seconds: float, number: int) -> None:
        if should_report(number):
            log.warning("token %s asked %d different narrow questions within an hour", token.id, number)
            with contextlib.suppress(AccessLogError):
                asked = {"questions": str(number), "metric": metric}
                access_log.record(f"token {token.id}", token.role, "narrow questions", asked, 0)
        time.sleep(seconds)

    @routes.get("/api/v1/licensing/installs")
    def get_licensing_installs() -> Response:
        return _json(200, audited.installs(g.token, _arguments()))

    @routes.get("/api/v1/licensing/flags")
    def get_licensing_flags() -> Response:
        return _json(200, audited.flags(g.token, _arguments()))

    @routes.post("/api/v1/licensing/keys")
    def post_licensing_keys() -> Response:
        body = request.get_json(silent=True) if (request.content_length or 0) <= MOST_BODY else None
        key_hash = body.get("key_hash") if isinstance(body, dict) else None
        if not isinstance(body, dict) or set(body) != {"key_hash"} or not isinstance(key_hash, str):
            raise _Problem(422, "missing_field", "key_hash", 'the body must be {"key_hash": "<64 hexadecimal digits>"}')
        if not KEY_HASH.fullmatch(key_hash):
            raise _Problem(422, "bad_format", "key_hash", "must be 64 hexadecimal digits")
        return _json(200, audited.key(g.token, key_hash))

    cases_api.register(routes, casework, _arguments, seconds=settings.k == 1)
    trends_api.register(routes, casework, _arguments, settings.k)

    @routes.get(RELEASES)
    def get_releases() -> Response:
        for name in _arguments():
            raise QueryError("unknown_field", printable(name), "is no parameter of this path")
        return _json(200, {"rows": reported_releases.rows(catalog())})

    @routes.post(RELEASES)
    def post_releases() -> Response:
        reported = reported_releases.parse(request.get_data(), datetime.now(UTC).date())
        try:
            releases.report(reported)
        except (sqlite3.Error, OSError) as error:
            log.error("releases cannot be stored: %s", error)
            raise _Problem(503, "unavailable", "", "releases cannot be stored") from None
        return _json(200, {"stored": len(reported)})

    @routes.get(VIEWS)
    def get_view() -> Response:
        """The report of a view as its owner sees it; without a name the list of views."""
        try:
            if "name" not in request.args:
                return _json(200, {"rows": [{"name": view.name, "owner": view.owner} for view in views.views()]})
            view = views.find(request.args["name"], request.args.get("owner", ""))
            owner = credentials.user(view.owner)
            if owner is None:
                raise ViewError(f"the owner of the view {view.name} is no user any more")
            html = report(view, owner.role).html
        except ViewError as error:
            raise _Problem(404, "not_found", "name", str(error)) from None
        return Response(html, content_type="text/html; charset=utf-8")

    @routes.get("/api/v1/openapi.json")
    def get_openapi() -> Response:
        return _json(200, document)

    @routes.get("/api/", defaults={"rest": ""})
    @routes.get("/api/<path:rest>")
    def get_nothing(rest: str) -> Response:
        others = set(current_app.url_map.bind("").allowed_methods(request.path)) - {"GET", "HEAD"}
        if "POST" in others:
            raise MethodNotAllowed(others)
        raise _Problem(404, "not_found", "", "the read API has no such path")

    @routes.get("/healthz")
    def get_healthz() -> Response:
        return _json(200, {"status": "ok"})

    @routes.get("/readyz")
    def get_readyz() -> Response:
        readiness.check()
        return _json(200, {"status": "ready"})

    @routes.app_errorhandler(405)
    def not_allowed(error: MethodNotAllowed) -> ResponseReturnValue:
        if not request.path.startswith("/api/"):
            return error
        allowed = ", ".join(sorted(error.valid_methods or ("GET", "HEAD", "OPTIONS")))
        answer = _problem(_Problem(405, "method_not_allowed", "", f"this path supports {allowed}"))
        answer.headers["Allow"] = allowed
        return answer

    @routes.errorhandler(_Problem)
    def problem(error: _Problem) -> Response:
        return _problem(error)

    @routes.errorhandler(QueryError)
    def query_error(error: QueryError) -> Response:
        return _problem(_Problem(422, error.reason, error.param, error.detail))

    @routes.errorhandler(LimitExceeded)
    def limit_exceeded(error: LimitExceeded) -> Response:
        return _problem(_Problem(422, "too_expensive", "query", f"{error}: ask for fewer days, or by less"))

    @routes.errorhandler(Unreadable)
    def unreadable(error: Unreadable) -> Response:
        return _problem(_Problem(503, "unavailable", "", f"the license reports are sealed, and {error}"))

    @routes.errorhandler(EngineError)
    def engine_error(error: EngineError) -> Response:
        return _problem(
            _Problem(503, "unavailable", "", f"ClickHouse {_away(error.trouble)}; beacons are still accepted")
        )

    @routes.errorhandler(AccessLogError)
    def access_log_error(error: AccessLogError) -> Response:
        log.error("an access to the license plane was refused: %s", error)
        return _problem(_Problem(503, "unavailable", "", "the access log cannot be written, so no rows are returned"))

    return routes


def _hides(rows: list[dict[str, Any]]) -> bool:
    """Return whether some figure of an answer is hidden, or the answer has no rows."""
    figures = [value for row in rows for value in row.values()]
    return not rows or any(value is None or (isinstance(value, list) and None in value) for value in figures)


def _away(trouble: Trouble | None) -> str:
    if trouble is None:
        return "does not answer"
    since = "since" if trouble.exact else "at least since"
    return f"{trouble.message} {since} {trouble.since:%Y-%m-%dT%H:%M:%SZ}"


def _arguments() -> dict[str, str]:
    """Return the parameters. Raises `QueryError` for one that is given twice, and for a filter without a value."""
    for name, value in request.args.items():
        if len(request.args.getlist(name)) > 1:
            raise QueryError("too_many_items", "query", "a parameter is given twice")
        # A variable that is not set would otherwise select everything.
        if not value and name not in OPTIONAL:
            raise QueryError("bad_format", printable(name), "must not be empty")
    return request.args.to_dict()
