"""A collector behind Caddy with `deploy/Caddyfile`. Left out where Caddy is not installed (Debian package caddy)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.request_body import LIMIT
from tests.collector.live import KEY, Client, Collector
from tests.collector.sample import beacon
from tests.deploy.caddy import PROGRAM, Caddy
from tests.deploy.nginx import DASHBOARD
from tests.deploy.test_nginx import Upstream, unavailable

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="caddy is not installed (Debian package caddy)")


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    """Caddy in front of a collector that trusts it, with no dashboard."""
    with contextlib.closing(Upstream()) as upstream:
        down = upstream.port
    home = tmp_path_factory.mktemp("behind") / "home"
    with (
        Collector(home, PHAROS_INGEST_KEY=KEY, PHAROS_TRUSTED_PROXIES="1") as collector,
        Caddy(tmp_path_factory.mktemp("caddy"), collector.port, down) as running,
    ):
        yield running


def test_a_beacon_passes_and_hsts_is_set(caddy: Caddy) -> None:
    """Good and bad beacons get the collector's answers over TLS, with HSTS."""
    assert caddy.post(beacon()).status == 202
    refused = caddy.post(beacon({"reason": "because"}))
    assert refused.why == (422, "bad_format", "reason")
    for path in ("/v1/schema.json", "/metrics", "/nothing"):
        assert caddy.request("GET", path).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("forwarded", [None, "198.51.100.9", "198.51.100.9, 127.0.0.1", "nonsense", ""])
def test_the_address_is_that_of_the_connection_to_caddy(caddy: Caddy, forwarded: str | None) -> None:
    """The stored address is the connection's, whatever X-Forwarded-For contains."""
    shown = caddy.post(beacon(), "/v1/beacons/check", source="127.0.0.2", X_Forwarded_For=forwarded)
    assert shown.json["beacons"][0]["license"]["ip"] == "127.0.0.2"


def test_metrics_are_not_passed_on(caddy: Caddy) -> None:
    """`/metrics` does not exist from outside."""
    assert caddy.request("GET", "/metrics").why == (404, "not_found", "")


@pytest.mark.parametrize("size", [LIMIT + 1, 3 * LIMIT])
def test_a_large_body_is_refused_in_the_collector_s_words(caddy: Caddy, size: int) -> None:
    """Whether Caddy or the collector refuses it, the client is told to make it smaller."""
    assert caddy.post(b" " * size).why == (413, "body_too_large", "")


def test_a_key_in_the_clear_is_not_sent_twice(caddy: Caddy) -> None:
    """Port 80 redirects what is only read, and refuses a post."""
    plain = Client(caddy.plain_port)
    head = "HTTP/1.1\r\nHost: telemetry.example.com\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert b"\r\nLocation: https://telemetry.example.com/v1/x" in plain.raw(f"GET /v1/x {head}".encode(), ends=False)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = plain.raw(f"{method} /v1/beacons {head}".encode(), ends=False)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"Location" not in answer
        assert b"replace the key" in answer


def test_a_collector_that_fails_is_a_503_and_gets_no_post_twice(tmp_path: Path) -> None:
    """If the collector closes the connection or is away, the response is a 503 with Retry-After."""
    with contextlib.closing(Upstream()) as upstream, Caddy(tmp_path, upstream.port, upstream.port) as caddy:
        assert unavailable(caddy.post(beacon(), "/close"))
        assert upstream.paths == ["/close"]
    with Caddy(tmp_path, upstream.port, upstream.port) as caddy:
        assert unavailable(caddy.post(beacon()))


def test_a_dashboard_that_is_down_is_a_503(caddy: Caddy) -> None:
    """A browser gets a page that says so, and the read API a problem document. Nothing names the reader."""
    dashboard = Client(caddy.port, caddy._tls, DASHBOARD)
    asked = f"GET /features?module=a HTTP/1.1\r\nHost: {DASHBOARD}\r\nConnection: close\r\n\r\n"
    page = dashboard.raw(asked.encode(), ends=False)
    assert page.startswith(b"HTTP/1.1 503 ")
    assert b"The dashboard is unavailable" in page
    answer = dashboard.request("GET", "/api/v1/metrics/installs", source="127.0.0.2")
    assert unavailable(answer)
    assert answer.json["detail"] == "the dashboard cannot be reached"
    log = caddy.log.read_text()
    assert "127.0.0.2" not in log
    assert "module=a" not in log
