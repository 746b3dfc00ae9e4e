"""`pharos check URL`: the collector from outside, as a client meets it."""

import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pharos.checks import Check
from pharos.deployment_check import checks
from tests.collector.live import KEY, Collector
from tests.end_to_end.system import free_ports
from tests.pharos_cli.command import pharos

ALL = ["reachable", "tls", "headers", "clock", "key", "address", "gzip", "refusal", "limits"]


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that trusts one proxy, and none is there."""
    home = tmp_path_factory.mktemp("checked") / "home"
    with Collector(home, PHAROS_INGEST_KEY=KEY, PHAROS_TRUSTED_PROXIES="1") as running:
        yield running


@contextmanager
def server(status: int, headers: dict[str, str], body: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that gives the same answer to everything."""

    class Same(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Same)
    if tls:
        running.socket = tls.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{running.server_port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def failed(found: list[Check]) -> list[str]:
    return [check.id for check in found if not check.ok]


def test_a_proxy_that_is_not_there_lets_clients_choose_their_address(collector: Collector, tmp_path: Path) -> None:
    """All is well but the address. No beacon is stored, and the command exits with status 1."""
    done = pharos(tmp_path, "check", collector.url, PHAROS_INGEST_KEY=KEY)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[1] for line in lines] == ALL, done.stderr
    assert [line[1] for line in lines if line[0] == "FAIL"] == ["address"]
    assert "PHAROS_TRUSTED_PROXIES" in done.stdout
    assert done.returncode == 1
    assert b"pharos_spool_beacons 0.0" in collector.request("GET", "/metrics").body


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "ftp://localhost", "localhost", "http://[", "https://127.0.0.1:{port}"]
)
def test_a_collector_that_is_not_there(url: str) -> None:
    """A closed port or an invalid URL is one failed check, and no traceback."""
    found = list(checks(url.format(port=free_ports(1)[0]), KEY, "m"))
    assert failed(found) == ["reachable"] == [check.id for check in found]


def test_a_key_that_is_not_valid(collector: Collector) -> None:
    """The check of an unknown key says so, and ends there."""
    found = list(checks(collector.url, "pik_of_somebody_else", "m"))
    assert failed(found) == ["key"] == [found[-1].id]
    assert "unauthorized" in found[-1].message


def test_another_server_is_no_collector() -> None:
    """A web server that answers every path is not mistaken for a collector."""
    with server(200, {"Content-Type": "text/html"}, b"<html>It works!</html>") as url:
        found = list(checks(url, KEY, "m"))
    assert failed(found) == ["reachable"]


def test_the_dashboard_is_no_collector() -> None:
    """The dashboard, which answers /healthz in the same form, is named as the probable mistake."""
    with server(200, {"Content-Type": "application/json"}, b'{"status":"ok"}') as url:
        found = list(checks(url, KEY, "m"))
    assert failed(found) == ["reachable"]
    assert "dashboard" in found[0].message


def test_a_proxy_that_answers_itself() -> None:
    """A proxy that hides the collector's error answers and headers fails these checks."""
    body = b'{"status":"ok","reason":"method_not_allowed","beacons":[{"license":{"ip":"10.0.0.1"}}],"rejected":[]}'
    with server(200, {"Content-Type": "application/json"}, body) as url:
        found = list(checks(url, KEY, "m"))
    assert failed(found) == ["headers", "refusal", "limits"]


def test_a_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody trusts ends the check. One that is trusted and ends in two days is told."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with server(200, {}, b'{"status":"ok","reason":"method_not_allowed"}', tls) as url:
        untrusted = list(checks(url, KEY, "m"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusted = {check.id: check for check in checks(url, KEY, "m")}
    assert failed(untrusted) == ["tls"] == [check.id for check in untrusted]
    assert trusted["reachable"].ok
    assert "valid for 1 more days" in trusted["tls"].message
    assert not trusted["tls"].ok
    assert "Strict-Transport-Security" in trusted["headers"].message
