"""The collector's WSGI application; only wires the parts."""

import os
import time
from typing import Any

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from collector import beacons, client, metrics, openapi, problems
from collector.planes import Planes
from collector.spool import Unavailable
from collector.validate import Reason, Rejected
from collector.writer import Writer
from warehouse.credentials import Credentials, Role, bearer
from warehouse.fields import json_schema
from warehouse.home import Home
from warehouse.settings import Settings


def create_app(settings: Settings, home: Home, writer: Writer) -> Flask:
    """The collector over one home. Call it in the worker, after the fork: `writer` owns a thread."""
    app = Flask("pharos-collector", static_folder=None)
    credentials = Credentials(home.credentials)
    planes = Planes(home.root_secret(settings))
    app.register_blueprint(beacons.blueprint(settings, credentials, planes, writer))
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
            writer.check()
        except Unavailable as error:
            raise beacons.unavailable(error) from None
        return Response(b'{"status":"ready"}', content_type="application/json")

    @app.get("/metrics")
    def get_metrics() -> Response:
        token = credentials.token(bearer(request.headers.get("Authorization")))
        if not (token is not None and token.role is Role.ADMIN) and not _from_here():
            raise problems.Refused(Rejected(Reason.UNAUTHORIZED, detail="from loopback, or with an admin token"))
        return Response(metrics.exposition(home.spool, time.time()), content_type="text/plain; version=0.0.4")

    def _from_here() -> bool:
        # A proxy on this machine also connects from loopback: only a direct connection is one from here.
        forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
        return not forwarded and client.address(request, 0) in ("127.0.0.1", "::1")

    @app.errorhandler(problems.Refused)
    def refused(error: problems.Refused) -> Response:
        metrics.REFUSED.labels(error.why.reason).inc()
        return problems.answer(error)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return problems.from_http(error)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        # By its type only: a traceback's values may hold what must not be in a log.
        app.logger.error("a request failed: %s at %s", type(error).__name__, _where(error))
        return problems.answer(beacons.unavailable(Unavailable("the collector failed on this request")))

    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _with_headers(wsgi_app: Any) -> Any:
    """Add the headers that every answer has; below Flask, where that costs a twentieth of what `after_request` does."""

    def wrapped(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*headers, *_HEADERS], *exc_info)

        return wsgi_app(environ, start)

    return wrapped


_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"  # noqa: PTH119
