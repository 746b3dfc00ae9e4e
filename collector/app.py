"""The collector's WSGI application. It only wires the parts."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from collector import beacon_api, license_api, metrics, openapi, problems
from collector.country import lookup
from collector.group_commit import Writer
from collector.ingestion import Ingestion
from collector.planes import Planes
from collector.rejections import Counting
from collector.rights import api
from collector.rights.install_states import InstallStates
from collector.spool import Spool, Unavailable
from collector.validate import Reason, Rejected
from core import logs, parts
from core.catalog import Catalog
from core.credentials import Credentials
from core.fields import json_schema
from core.home import Home
from core.http_server import Worker
from core.scrapes import is_operator, may_scrape
from core.settings import Settings

log = logging.getLogger("pharos.requests")


def create_app(settings: Settings, home: Home, writer: Writer, catalog: Callable[[], Catalog]) -> Flask:
    """Create the collector of one home. Call it in the worker, after the fork: `writer` owns a thread."""
    app = Flask("pharos-collector", static_folder=None)
    credentials = Credentials(home.credentials)
    planes = Planes(home.root_secret(settings), lookup(settings))
    ingestion = Ingestion(planes, InstallStates(home.spool), catalog)
    rejections = Counting(home.spool)
    beacons = beacon_api.BeaconApi(settings, credentials, planes, ingestion, writer, rejections, home.spool)
    app.register_blueprint(beacon_api.blueprint(beacons))
    app.register_blueprint(api.blueprint(settings, home, planes, catalog))
    app.register_blueprint(license_api.blueprint(settings, home, credentials))
    schema, description = msgspec.json.encode(json_schema()), msgspec.json.encode(openapi.document())

    @app.get("/v1/schema.json")
    def get_schema() -> Response:
        return Response(schema, content_type="application/schema+json")

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        return Response(description, content_type="application/json")

    @app.get("/healthz")
    def get_healthz() -> Response:
        return Response(b'{"status":"ok"}', content_type="application/json")

    @app.get("/readyz")
    def get_readyz() -> Response:
        try:
            if Worker.stopping:
                raise Unavailable("the collector is stopping")
            writer.check()
        except Unavailable as error:
            raise beacon_api.unavailable(error) from None
        ready = {"status": "ready", **(_for_operator(home) if is_operator(request.environ, credentials) else {})}
        return Response(msgspec.json.encode(ready), content_type="application/json")

    @app.get("/metrics")
    def get_metrics() -> Response:
        if not may_scrape(request.environ, credentials, settings.metrics_token):
            why = "requires loopback, an admin token or the token in PHAROS_METRICS_TOKEN"
            raise problems.Refused(Rejected(Reason.UNAUTHORIZED, detail=why))
        return Response(
            metrics.exposition(home, time.time(), webhook=bool(settings.webhook_url)),
            content_type="text/plain; version=0.0.4",
        )

    @app.errorhandler(problems.Refused)
    def refused(error: problems.Refused) -> Response:
        metrics.REFUSED.labels(error.why.reason).inc()
        logs.refused(problems.STATUS[error.why.reason], error.why.reason, problems.for_log(error.why))
        return problems.answer(error)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return problems.from_http(error)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        # Log only the type: the message and the traceback may contain private data.
        log.error("a request failed: %s at %s", type(error).__name__, logs.place(error))
        return problems.answer(beacon_api.unavailable(Unavailable("the collector failed on this request")))

    def beacons_failed(error: Exception) -> Response:
        return refused(error) if isinstance(error, problems.Refused) else failed(error)

    in_front = beacon_api.in_front(app.wsgi_app, beacons, beacons_failed)
    app.wsgi_app = logs.with_request_ids(in_front, _HEADERS)  # type: ignore[method-assign]
    return app


_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def _for_operator(home: Home) -> dict[str, Any]:
    """Return how many beacons wait for ClickHouse, since when and why loading fails, and which parts are down."""
    down = {each.part: {"status": "down", "since": _moment(each.since), "why": each.why} for each in parts.down(home)}
    spool = Spool(home.spool)
    try:
        waiting, loading = spool.stats().beacons, spool.loading()
    finally:
        spool.close()
    failing = {"status": "failing", "since": _moment(int(loading.since)), "why": loading.why} if loading.since else None
    return {"waiting": waiting, **({"loading": failing} if failing else {}), **({"down": down} if down else {})}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
