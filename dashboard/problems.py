"""The answers of the read API: JSON, and errors as `application/problem+json`."""

from typing import Any

import msgspec
from flask import Response

from core import logs

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


class Problem(Exception):
    """An error that is answered as `application/problem+json`, with the members `more`."""

    def __init__(self, status: int, reason: str, path: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.reason, self.path, self.detail, self.more = status, reason, path, detail, more


def problem_answer(error: Problem) -> Response:
    """Return the answer for an error, and log it. A 503 is about Pharos: the log has its details too."""
    logs.refused(error.status, error.reason, error.detail if error.status == 503 else "")
    body = {
        "type": "about:blank",
        "title": TITLES[error.status],
        "status": error.status,
        "reason": error.reason,
        "path": error.path,
        "detail": error.detail,
        **error.more,
    }
    response = Response(msgspec.json.encode(body), error.status, content_type="application/problem+json")
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.status in (429, 503):
        response.headers["Retry-After"] = "10"
    return response


def json_answer(status: int, value: Any) -> Response:
    """Return a JSON answer, which no cache keeps."""
    return Response(msgspec.json.encode(value), status, {"Cache-Control": "no-store"}, content_type="application/json")
