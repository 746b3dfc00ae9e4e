"""Returns errors as `application/problem+json` (RFC 9457), each with a stable `reason` for programs."""

from typing import Any

import msgspec
from flask import Response
from werkzeug.exceptions import HTTPException

from collector.validate import Reason, Rejected
from core.fields import FIELDS, OBJECTS

STATUS: dict[Reason, int] = {
    Reason.MALFORMED_JSON: 400,
    Reason.BAD_ENCODING: 400,
    Reason.BAD_REQUEST: 400,
    Reason.UNAUTHORIZED: 401,
    Reason.MODULE_NOT_ALLOWED: 403,
    Reason.OBJECTED: 403,
    Reason.UNDECLARED: 403,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.LENGTH_REQUIRED: 411,
    Reason.PRECONDITION_FAILED: 412,
    Reason.BODY_TOO_LARGE: 413,
    Reason.URI_TOO_LONG: 414,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.EXPECTATION_FAILED: 417,
    Reason.MISSING_FIELD: 422,
    Reason.UNKNOWN_FIELD: 422,
    Reason.WRONG_TYPE: 422,
    Reason.BAD_FORMAT: 422,
    Reason.OUT_OF_RANGE: 422,
    Reason.TOO_MANY_ITEMS: 422,
    Reason.RATE_LIMITED: 429,
    Reason.HEADERS_TOO_LARGE: 431,
    Reason.UNAVAILABLE: 503,
}
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Refused(Exception):
    """The request is rejected as a whole. `headers` and `members` are added to the response."""

    def __init__(self, why: Rejected, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(why)
        self.why, self.headers, self.members = why, headers or {}, members


def document(why: Rejected, **members: Any) -> tuple[int, bytes]:
    """Return the status and body of the response for a rejection."""
    status = STATUS[why.reason]
    return status, msgspec.json.encode(
        {
            "type": "about:blank",
            "title": TITLES[status],
            "status": status,
            "reason": why.reason,
            "path": why.path,
            "detail": why.detail,
            **members,
        }
    )


def answer(refused: Refused) -> Response:
    """Return the response to a rejected request."""
    status, body = document(refused.why, **refused.members)
    headers = dict(refused.headers)
    if refused.why.reason is Reason.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(body, status, headers, content_type="application/problem+json")


def for_log(why: Rejected) -> str:
    """Return what a log may say of a rejection beyond its reason, "" if nothing.

    It is the text of a 503, which is about Pharos, or the path of a field of a beacon. Another field's name, and a
    feature's, may be data.
    """
    if why.reason is Reason.UNAVAILABLE:
        return why.detail
    return why.path if why.path in _PATHS else ""


_PATHS = frozenset({*OBJECTS, *(field.path for field in FIELDS)})


def from_http(error: HTTPException) -> Response:
    """Return the response to an error of Flask itself (unknown path, method not allowed), in the same form."""
    reasons = {status: reason for reason, status in STATUS.items() if status not in (400, 422)}
    reason = reasons.get(error.code or 400, Reason.BAD_REQUEST)
    valid = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(valid)} if valid else {}
    return answer(Refused(Rejected(reason, detail=TITLES[STATUS[reason]].lower()), headers))
