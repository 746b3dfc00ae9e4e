"""Scrapes of `/metrics` by Prometheus: what a metric is, and who may ask."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core import client_address
from core.credentials import Credentials, Role, bearer


@dataclass(frozen=True)
class Meaning:
    """A metric as the reference describes it. A scrape has a counter with `_total` after its name."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> str:
        """Its name in a scrape."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def is_operator(environ: Mapping[str, Any], credentials: Credentials) -> bool:
    """Return whether a request is from this machine or has an admin token. `environ` is the WSGI environment."""
    token = credentials.token(bearer(environ.get("HTTP_AUTHORIZATION")))
    if token is not None and token.role is Role.ADMIN:
        return True
    # A local proxy also connects from loopback, so accept only direct connections.
    forwarded = "HTTP_X_FORWARDED_FOR" in environ or "HTTP_FORWARDED" in environ
    return not forwarded and client_address.address(environ, 0) in ("127.0.0.1", "::1")


def may_scrape(environ: Mapping[str, Any], credentials: Credentials, metrics_token: str) -> bool:
    """Return whether a request may read the metrics: also with the token of `PHAROS_METRICS_TOKEN`, if it is set."""
    given = bearer(environ.get("HTTP_AUTHORIZATION")).encode("utf-8", "surrogatepass")
    if metrics_token and hmac.compare_digest(given, metrics_token.encode()):
        return True
    return is_operator(environ, credentials)
