"""`pharos check URL`: check a running collector from outside, as a client meets it. It stores no beacon.

It finds what a proxy changes on the way: the address of the client, error answers, compressed and large bodies.
"""

import gzip
import http.client
import json
import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from core.credentials import DEVELOPMENT
from pharos.checks import Check

TIMEOUT = 15.0
LIMIT = 1 << 20
CLOCK_SECONDS = 60.0
CERTIFICATE_DAYS = 14
# An address for documentation (RFC 5737). No client has it.
SPOOFED = "198.51.100.77"


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body's JSON object, {} if it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def reason(self) -> str:
        """The `reason` of a problem document, "" if the answer is none."""
        return str(self.json.get("reason", ""))


class _Collector:
    """Requests to the collector, each on a new connection."""

    def __init__(self, url: str) -> None:
        """Raises `ValueError` for an invalid URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http or https URL")
        self.https, self.host, self.port = parts.scheme == "https", parts.hostname, parts.port
        self._path = parts.path.rstrip("/")

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        if self.https:
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=TIMEOUT, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> _Answer:
        """Return the answer to a request. Raises `OSError` and `http.client.HTTPException`."""
        with closing(self.connect()) as connection:
            connection.request(method, self._path + path, body or None, headers or {})
            answer = connection.getresponse()
            return _Answer(answer.status, answer.headers, answer.read())


def checks(url: str, key: str, module: str) -> Iterator[Check]:
    """Run all checks in order. Skips the rest if the collector cannot be reached or the key is not valid."""
    try:
        collector = _Collector(url)
    except ValueError as error:
        yield Check("reachable", False, str(error))
        return
    try:
        health = collector.ask("GET", "/healthz")
    except ssl.SSLCertVerificationError as error:
        yield Check("tls", False, f"the certificate is not valid: {error.verify_message}")
        return
    except (OSError, http.client.HTTPException) as error:
        yield Check("reachable", False, f"no answer: {error or type(error).__name__}")
        return
    if health.status != 200 or health.json.get("status") != "ok":
        yield Check("reachable", False, f"GET /healthz answers {health.status}, and not as a collector does")
        return
    if collector.ask("GET", "/v1/beacons").reason != "method_not_allowed":
        yield Check("reachable", False, f"{url} answers, but is no collector: is it the address of the dashboard?")
        return
    yield Check("reachable", True, f"{url} answers")
    yield _tls(collector)
    yield _headers(collector, health)
    yield _clock(health)
    try:
        yield from _beacons(collector, key, module)
    except (OSError, http.client.HTTPException) as error:
        yield Check("beacons", False, f"the connection failed: {error or type(error).__name__}")


def _tls(collector: _Collector) -> Check:
    if not collector.https:
        local = _is_loopback(collector.host)
        return Check("tls", local, "http, on this machine" if local else "http: the ingest key is sent in clear")
    context = ssl.create_default_context()
    address = (collector.host, collector.port or 443)
    with (
        socket.create_connection(address, TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=collector.host) as encrypted,
    ):
        certificate = encrypted.getpeercert() or {}
    left = int((ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) // 86400)
    return Check("tls", left >= CERTIFICATE_DAYS, f"the certificate is valid for {left} more days")


def _is_loopback(host: str) -> bool:
    try:
        return all(ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(host, None))
    except (OSError, ValueError):
        return False


def _headers(collector: _Collector, health: _Answer) -> Check:
    wanted = ["X-Content-Type-Options", "X-Request-ID", *(["Strict-Transport-Security"] if collector.https else [])]
    missing = [name for name in wanted if name not in health.headers]
    return Check("headers", not missing, f"missing: {', '.join(missing)}" if missing else "all that are expected")


def _clock(health: _Answer) -> Check:
    try:
        theirs = parsedate_to_datetime(health.headers["Date"])
    except (TypeError, ValueError):
        return Check("clock", False, "the answer has no Date header")
    ahead = (theirs - datetime.now(UTC)).total_seconds()
    where = "ahead of" if ahead > 0 else "behind"
    return Check("clock", abs(ahead) < CLOCK_SECONDS, f"{abs(ahead):.0f} s {where} this machine")


def _beacons(collector: _Collector, key: str, module: str) -> Iterator[Check]:
    beacon = json.dumps(_beacon(module)).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    path = "/v1/beacons/check"
    answer = collector.ask("POST", path, beacon, headers)
    if answer.status != 200:
        why = f"{answer.status} {answer.reason}".strip()
        advice = {
            "module_not_allowed": f": give --module, a module that the key may post ({module} is not)",
            "unauthorized": ": this key is not valid here; pharos keys new makes one",
        }.get(answer.reason, "")
        yield Check("key", False, f"{why}{advice}; what needs a key is not checked")
        return
    tried = "; a development key: its beacons count in no figure, so ship no module with it"
    yield Check("key", True, f"the collector accepts beacons of {module}{tried if key.startswith(DEVELOPMENT) else ''}")
    yield _address(collector, answer, collector.ask("POST", path, beacon, {**headers, "X-Forwarded-For": SPOOFED}))
    packed = collector.ask("POST", path, gzip.compress(beacon), {**headers, "Content-Encoding": "gzip"})
    yield Check("gzip", packed.status == 200, f"a compressed beacon is answered {packed.status}")
    yield _refusal("refusal", collector.ask("POST", path, beacon, {**headers, "Authorization": ""}), "unauthorized")
    # Not `/check`: what counts is the path of real beacons. It is too large, so nothing is stored.
    large = collector.ask("POST", "/v1/beacons", b" " * (LIMIT + 1), headers)
    yield _refusal("limits", large, "body_too_large", "; the page Data counts this try as rejected")


def _beacon(module: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "beacon_id": str(uuid.uuid4()),
        "install_id": str(uuid.uuid4()),
        "sent_at": datetime.now(UTC).isoformat(),
        "module": {"name": module, "version": "1.0.0"},
        "license": {"status": "unknown", "source": "pharos-check"},
    }


def _address(collector: _Collector, plain: _Answer, spoofed: _Answer) -> Check:
    seen, forged = (_seen(answer) for answer in (plain, spoofed))
    proxies = "PHAROS_TRUSTED_PROXIES"
    if forged == SPOOFED:
        return Check("address", False, f"clients choose their own address: {proxies} is more than there are proxies")
    if not _is_loopback(collector.host) and not _is_global(seen):
        where = f"as {seen}" if seen else "without an address"
        return Check("address", False, f"the collector sees you {where}: {proxies} does not count all proxies")
    return Check("address", True, f"the collector sees you as {seen}")


def _is_global(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False


def _seen(answer: _Answer) -> str:
    """The address that the collector sees. One of an earlier version tells it only in the license row."""
    beacons = answer.json.get("beacons") or [{}]
    return str(answer.json.get("address") or (beacons[0].get("license") or {}).get("ip", ""))


def _refusal(id: str, answer: _Answer, reason: str, more: str = "") -> Check:
    """Check that an error answer arrives as the collector sends it: clients read its `reason`."""
    if answer.reason == reason:
        return Check(id, True, f"{answer.status} {reason}, as a problem document{more}")
    return Check(id, False, f"{answer.status} without the reason {reason}: a proxy answers in place of the collector")
