"""`PUT /v1/licenses`: registry key → body → validate → spool → 202. The loader moves the rows to ClickHouse."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from collector import license_rows, request_body
from collector.license_rows import MOST_ROWS, LicenseRows
from collector.problems import Refused
from collector.spool import Spool, Unavailable
from collector.validate import Reason, Rejected
from core.credentials import Credentials, IngestKey, bearer
from core.home import Home
from core.settings import Settings


def blueprint(settings: Settings, home: Home, credentials: Credentials) -> Blueprint:
    """Return the route for the registry."""
    routes = Blueprint("licenses", __name__)
    rows_of = LicenseRows(home.root_secret(settings))

    @routes.put("/v1/licenses")
    def put_licenses() -> Response:
        secret = bearer(request.environ.get("HTTP_AUTHORIZATION"))
        key = credentials.key(secret) if secret else None
        if key is None:
            raise Refused(
                Rejected(Reason.UNAUTHORIZED, detail="Authorization: Bearer <registry key> is missing or unknown")
            )
        if not key.registry:
            raise Refused(Rejected(Reason.MODULE_NOT_ALLOWED, detail="the key is not a registry key"))
        with request_body.read_json(request.environ) as value:
            rows, rejected = _rows(rows_of, value, key)
            many = isinstance(value, list)
        if not rows:
            raise _refused(rejected, many=many)
        _store(home, rows)
        body = {"accepted": len(rows), "rejected": _listed(rejected)}
        return Response(msgspec.json.encode(body), 202, content_type="application/json")

    return routes


def _rows(rows_of: LicenseRows, value: Any, key: IngestKey) -> tuple[list[bytes], list[tuple[int, Rejected]]]:
    """Return the rows for the spool, and the rejections with their indexes. Raises `Refused`."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise Refused(Rejected(Reason.MISSING_FIELD, detail="the list is empty"))
    if len(items) > MOST_ROWS:
        raise Refused(Rejected(Reason.TOO_MANY_ITEMS, detail=f"at most {MOST_ROWS} licenses at once"))
    now = datetime.now(UTC)
    rows, rejected = [], []
    for index, item in enumerate(items):
        try:
            row = rows_of.row(item, now)
            if key.modules and row.module not in key.modules:
                raise Rejected(Reason.MODULE_NOT_ALLOWED, "module", "the key is not valid for this module")
            rows.append(license_rows.encode(row))
        except Rejected as error:
            rejected.append((index, Rejected(*error.args)))
    return rows, rejected


def _store(home: Home, rows: list[bytes]) -> None:
    try:
        spool = Spool(home.spool)
        try:
            spool.check_space()
            spool.store_licenses(rows)
        finally:
            spool.close()
    except Unavailable as error:
        raise Refused(Rejected(Reason.UNAVAILABLE, detail=str(error)), {"Retry-After": "30"}) from None


def _refused(rejected: list[tuple[int, Rejected]], *, many: bool) -> Refused:
    first = next((error for _, error in rejected if error.reason is not Reason.MODULE_NOT_ALLOWED), rejected[0][1])
    return Refused(first, rejected=_listed(rejected)) if many else Refused(first)


def _listed(rejected: list[tuple[int, Rejected]]) -> list[dict[str, Any]]:
    return [
        {"index": index, "reason": error.reason, "path": error.path, "detail": error.detail}
        for index, error in rejected
    ]
