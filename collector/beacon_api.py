"""`POST /v1/beacons`: key → body → validate → catalog → planes → spool → 202. `/check` stops before the spool.

Flask's dispatch would take as long as all of this, so `in_front` answers the one route that matters below it.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from collector import development, request_body
from collector.beacon_batch import Rejections, answer, listed, refused, validate_all
from collector.group_commit import OverLimit, Stale, Writer
from collector.ingestion import Ingestion, Processed
from collector.metrics import ACCEPTED, BEACONS, CLOCK_SKEWED, DEFERRED, DUPLICATE, REASONS, UNDECLARED
from collector.pace import Pace, deferred
from collector.planes import Planes, legible
from collector.problems import Refused
from collector.rejections import Counting
from collector.spool import Unavailable
from collector.validate import Reason, Rejected
from core import client_address
from core.credentials import Credentials, IngestKey, bearer
from core.settings import Settings

PATH = "/v1/beacons"
RETRY_SECONDS = 30
# Reasons for which a request is refused before its beacons are known.
UNREAD = frozenset(
    (
        Reason.BAD_ENCODING, Reason.BAD_REQUEST, Reason.BODY_TOO_LARGE, Reason.LENGTH_REQUIRED, Reason.MALFORMED_JSON,
        Reason.UNAUTHORIZED, Reason.UNSUPPORTED_MEDIA_TYPE,
    )
)  # fmt: skip


Environ = dict[str, Any]


class BeaconApi:
    """The two operations on beacons. Both take a WSGI environment, return JSON, and raise `Refused`."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        planes: Planes,
        ingestion: Ingestion,
        writer: Writer,
        rejections: Counting,
        spool: Path,
    ) -> None:
        self._settings, self._credentials, self._planes = settings, credentials, planes
        self._ingestion, self._writer, self._rejections = ingestion, writer, rejections
        self._spool = spool
        self._pace = Pace(lambda: writer.oldest)

    def post(self, environ: Environ) -> bytes:
        """Store the beacons of a request on disk; returns the body of the 202."""
        key = None
        try:
            key = self._authorized(environ)
            return self._post_development(environ, key) if key.development else self._post(environ, key)
        except Refused as error:
            if key is not None and key.development:
                raise
            if error.why.reason is Reason.UNAVAILABLE:
                self._pace.note_unavailable()
            if error.why.reason in UNREAD:
                self._rejections.note(error.why)
            raise

    def _post(self, environ: Environ, key: IngestKey) -> bytes:
        now = datetime.now(UTC)
        with request_body.read_json(environ) as value:
            beacons, rejected, many = validate_all(value, key)
            del value
            for _, error in rejected:
                self._rejections.note(error)
            if not beacons:
                _count(0, 0, [], [], rejected)
                raise refused(rejected, many)
            processed, fresh = self._store(beacons, self._address(environ), now, key)
            next_in = self._next_in(beacons[0]["install_id"], now)
        accepted = sum(fresh)
        objected = sum(each.state.objected for each in processed)
        undeclared = [each for each in processed if each.undeclared]
        duplicates = len(processed) - objected - len(undeclared) - accepted
        stored = [each for each, new in zip((t for t in processed if t.row), fresh, strict=True) if new]
        _count(duplicates, objected, stored, undeclared, rejected)
        return answer(accepted, duplicates, objected, len(undeclared), rejected, next_in)

    def _post_development(self, environ: Environ, key: IngestKey) -> bytes:
        """Keep the beacons of a request apart; returns the body of the 202. No metric and no figure counts them."""
        now, address = datetime.now(UTC), self._address(environ)
        try:
            with request_body.read_json(environ) as value:
                beacons, rejected, many = validate_all(value, key)
                del value
                self._ingestion.refresh()
                processed, _ = self._ingestion.process(beacons, address, now)
        except Refused as error:
            self._keep(development.tried([], [], [error.why], key, now), key, address)
            raise
        errors = [error for _, error in rejected]
        self._keep(development.tried(beacons, processed, errors, key, now), key, address)
        if not beacons:
            raise refused(rejected, many)
        objected = sum(each.state.objected for each in processed)
        undeclared = sum(each.undeclared for each in processed)
        accepted = sum(each.row is not None for each in processed)
        duplicates = len(processed) - objected - undeclared - accepted
        return answer(accepted, duplicates, objected, undeclared, rejected, development.NEXT_SECONDS)

    def _keep(self, rows: list[development.Tried], key: IngestKey, address: str) -> None:
        try:
            seconds = development.store(self._spool, rows, self._limits(key, address))
        except Unavailable as error:
            raise unavailable(error) from None
        if seconds:
            raise self._over_limit(seconds)

    def check(self, environ: Environ) -> bytes:
        """Return the rows that `post` would store, and store nothing."""
        now, address = datetime.now(UTC), self._address(environ)
        key = self._authorized(environ)
        with request_body.read_json(environ) as value:
            beacons, rejected, many = validate_all(value, key)
            del value
            if not beacons:
                raise refused(rejected, many)
            self._ingestion.refresh()
            processed, _ = self._ingestion.process(beacons, address, now)
            shown = [
                _shown(beacon, each, development_key=key.development)
                for beacon, each in zip(beacons, processed, strict=True)
            ]
            return msgspec.json.encode({"beacons": shown, "rejected": listed(rejected), "address": address})

    def _authorized(self, environ: Environ) -> IngestKey:
        secret = bearer(environ.get("HTTP_AUTHORIZATION"))
        key = self._credentials.key(secret) if secret else None
        if key is None:
            detail = "the ingest key is unknown" if secret else "Authorization: Bearer <ingest key> is missing"
            raise Refused(Rejected(Reason.UNAUTHORIZED, detail=detail))
        if key.registry:
            raise Refused(Rejected(Reason.MODULE_NOT_ALLOWED, detail="a registry key posts no beacons"))
        return key

    def _address(self, environ: Environ) -> str:
        return client_address.address(environ, self._settings.trusted_proxies)

    def _store(
        self, beacons: list[dict[str, Any]], address: str, now: datetime, key: IngestKey
    ) -> tuple[list[Processed], list[bool]]:
        """Process and store beacons. Process them again if an owner's decision changed before the commit."""
        limits = self._limits(key, address)
        try:
            while True:
                processed, basis = self._ingestion.process(beacons, address, now)
                try:
                    return processed, self._writer.put([each.row for each in processed if each.row], limits, basis)
                except Stale:
                    self._ingestion.refresh()
        except OverLimit as error:
            self._reject_all(Reason.RATE_LIMITED, len(beacons))
            raise self._over_limit(error.seconds) from None
        except Unavailable as error:
            self._reject_all(Reason.UNAVAILABLE, len(beacons))
            raise unavailable(error) from None

    def _over_limit(self, seconds: int) -> Refused:
        per_key, per_address = self._settings.rate_limit, self._settings.address_rate_limit
        limit = " and ".join(
            f"{most} a minute for {whom}" for most, whom in ((per_key, "a key"), (per_address, "an address")) if most
        )
        return Refused(Rejected(Reason.RATE_LIMITED, detail=f"the limit is {limit}"), {"Retry-After": str(seconds)})

    def _reject_all(self, reason: Reason, beacons: int) -> None:
        BEACONS.labels("rejected", reason).inc(beacons)
        self._rejections.note(Rejected(reason), beacons)

    def _next_in(self, install_id: str, now: datetime) -> int:
        next_in = self._planes.next_in(install_id, now)
        pressure = self._pace.after_stored()
        if pressure and self._planes.skips(install_id, now + timedelta(seconds=next_in), pressure):
            DEFERRED.inc()
            return deferred(next_in)
        return next_in

    def _limits(self, key: IngestKey, address: str) -> tuple[tuple[str, int], ...]:
        per_key, per_address = self._settings.rate_limit, self._settings.address_rate_limit
        of_key = ((f"key {key.id}", per_key),) if per_key else ()
        # Loopback is the address of imports, load tests, and all clients of a local proxy that is not trusted.
        if not per_address or not address or ip_address(address).is_loopback:
            return of_key
        return *of_key, (self._planes.limited(address), per_address)


def blueprint(api: BeaconApi) -> Blueprint:
    """Return the routes for beacons."""
    routes = Blueprint("beacons", __name__)

    @routes.post(PATH)  # for the answers to other methods: `in_front` answers this one
    def post_beacons() -> Response:
        return Response(api.post(request.environ), 202, content_type="application/json")

    @routes.post(f"{PATH}/check")
    def check_beacons() -> Response:
        return Response(api.check(request.environ), 200, content_type="application/json")

    return routes


def in_front(wsgi_app: Any, api: BeaconApi, failed: Callable[[Exception], Response]) -> Any:
    """Wrap `wsgi_app` to answer `POST /v1/beacons` below Flask. `failed` makes the response to an error."""

    def wrapped(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return wsgi_app(environ, start_response)  # type: ignore[no-any-return]
        try:
            body = api.post(environ)
        except Exception as error:
            return failed(error)(environ, start_response)
        start_response("202 ACCEPTED", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return wrapped


def unavailable(error: Unavailable) -> Refused:
    """Return a 503 with `Retry-After`."""
    return Refused(Rejected(Reason.UNAVAILABLE, detail=str(error)), {"Retry-After": str(RETRY_SECONDS)})


def _shown(beacon: dict[str, Any], processed: Processed, *, development_key: bool) -> dict[str, Any]:
    """Return the rows that would be stored, None after an objection or under a restriction.

    Of a development key no plane has a row: `development` is what the page Data would show. Names that the catalog
    removes are only counted.
    """
    open_to_planes = processed.row is not None and not processed.row.sealed and not development_key
    return {
        "usage": legible(processed.split.usage) if open_to_planes else None,
        "license": legible(processed.split.license) if open_to_planes else None,
        "clock_skewed": processed.split.clock_skewed,
        **({"undeclared": processed.dropped} if processed.dropped else {}),
        **({"development": development.checked(beacon, processed)} if development_key else {}),
    }


def _count(
    duplicates: int, objected: int, stored: list[Processed], undeclared: list[Processed], rejected: Rejections
) -> None:
    if stored:
        ACCEPTED.inc(len(stored))
    if objected:
        BEACONS.labels("objected", "").inc(objected)
    if undeclared:
        BEACONS.labels("undeclared", "").inc(len(undeclared))
    if duplicates:
        DUPLICATE.inc(duplicates)
    if skewed := sum(each.split.clock_skewed for each in stored):
        CLOCK_SKEWED.inc(skewed)
    for reason, times in Counter(each.reason for each in stored).items():
        REASONS.labels(reason).inc(times)
    for each in (*stored, *undeclared):
        for kind, times in each.dropped.items():
            UNDECLARED.labels(kind).inc(times)
    for _, error in rejected:
        BEACONS.labels("rejected", error.reason).inc()
