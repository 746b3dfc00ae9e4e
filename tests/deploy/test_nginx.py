"""A collector behind nginx with `deploy/nginx.conf`: the same responses, and no logs of clients."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector.validate import MAX_BATCH
from tests.collector import abuse
from tests.collector.live import KEY, Answer, Client, Collector
from tests.collector.sample import beacon
from tests.deploy.nginx import DASHBOARD, Nginx
from tests.end_to_end.system import wait_for

SLOW_SECONDS = 10  # as nginx.conf has it
PER_ADDRESS = 50
RIGHTS_BURST = 60


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx in front of a collector that trusts it."""
    home = tmp_path_factory.mktemp("behind") / "home"
    with (
        Collector(home, PHAROS_INGEST_KEY=KEY, PHAROS_TRUSTED_PROXIES="1") as collector,
        Nginx(tmp_path_factory.mktemp("nginx"), collector.port) as running,
    ):
        yield running


@pytest.mark.parametrize("case", abuse.CASES, ids=abuse.NAMES)
def test_a_bad_request_is_answered_as_it_should(nginx: Nginx, case: abuse.Case) -> None:
    """A bad request gets the same response behind nginx, whether nginx or the collector sends it."""
    abuse.hold(nginx, case, behind_nginx=True)


@pytest.mark.parametrize("kind", [abuse.wrong_types, abuse.unknown_fields, abuse.controls])
def test_no_field_takes_what_is_bad_for_it(nginx: Nginx, kind: abuse.Kind) -> None:
    """Every field rejects wrong types, every object unknown fields, and every text control characters."""
    abuse.hold_each(nginx, kind)


@pytest.mark.parametrize("forwarded", [None, "198.51.100.9", "198.51.100.9, 127.0.0.1", "127.0.0.1", "nonsense", ""])
def test_the_address_is_that_of_the_connection_to_nginx(nginx: Nginx, forwarded: str | None) -> None:
    """The stored address is the connection's, whatever X-Forwarded-For contains."""
    shown = nginx.post(beacon(), "/v1/beacons/check", source="127.0.0.2", X_Forwarded_For=forwarded)
    assert shown.json["beacons"][0]["license"]["ip"] == "127.0.0.2"


def test_a_long_answer_needs_no_file(nginx: Nginx) -> None:
    """A response of hundreds of kilobytes is complete without temporary files."""
    answer = nginx.post([beacon() for _ in range(MAX_BATCH)], "/v1/beacons/check")
    assert len(answer.body) > 200_000
    assert len(answer.json["beacons"]) == MAX_BATCH


def test_http_2_is_answered_alike(nginx: Nginx) -> None:
    """HTTP/2 gets the same responses as HTTP/1.1."""

    def status_and_body(body: bytes) -> tuple[str, bytes]:
        done = subprocess.run(
            ["curl", "-sS", "--http2", "--cacert", nginx.folder / "fullchain.pem", 
             "-w", "\n%{http_version} %{http_code}",
             "--connect-to", f"::127.0.0.1:{nginx.port}", "-H", f"Authorization: Bearer {KEY}",
             "-H", "Content-Type: application/json", "--data-binary", "@-", "https://telemetry.example.com/v1/beacons"],
            input=body, capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        received, _, status = done.stdout.rpartition(b"\n")
        return status.decode(), received

    assert status_and_body(json.dumps(beacon()).encode())[0] == "2 202"
    status, refused = status_and_body(b" " * (3 << 20))
    assert (status, json.loads(refused)["reason"]) == ("2 413", "body_too_large")


def test_plain_http_is_sent_to_https(nginx: Nginx) -> None:
    """Port 80 redirects to https, without response splitting. Plain HTTP on the TLS port is a 400."""
    sent = b"GET /v1/x%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: telemetry.example.com\r\nConnection: close\r\n\r\n"
    lines = Client(nginx.plain_port).raw(sent, ends=False).split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 308 ")
    assert b"Location: https://telemetry.example.com/v1/x%0d%0aSet-Cookie:%20a=b" in lines
    answer = abuse.parsed(Client(nginx.port).raw(sent, ends=False))
    assert answer is not None
    assert answer.why == (400, "bad_request", "")


def test_a_key_in_the_clear_is_not_sent_twice(nginx: Nginx) -> None:
    """A post to port 80 is refused. A redirect would hide that the key was sent in the clear."""
    sent = (
        f"POST /v1/beacons HTTP/1.1\r\nHost: telemetry.example.com\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    answer = Client(nginx.plain_port).raw(sent.encode(), ends=False)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"Location" not in answer
    assert b"replace the key" in answer
    for method in (b"PUT", b"PATCH", b"DELETE", b"post"):
        changed = Client(nginx.plain_port).raw(sent.encode().replace(b"POST", method), ends=False)
        assert changed[9:12] in (b"403", b"400", b"405")


def test_requests_of_owners_have_a_limit(nginx: Nginx) -> None:
    """Each address has a limit of owner requests. Other addresses and beacons are not affected."""
    body = {"install_id": "0b0c1c0e-3b1e-4b7e-8f7a-6d5c4b3a2f1e", "action": "nothing"}
    statuses = [nginx.post(body, "/v1/rights", source="127.0.0.7").status for _ in range(RIGHTS_BURST + 20)]
    assert statuses[:RIGHTS_BURST] == [422] * RIGHTS_BURST
    assert 429 in statuses[RIGHTS_BURST:]
    refused = nginx.post(body, "/v1/rights", source="127.0.0.7")
    if refused.status == 429:
        assert refused.why == (429, "rate_limited", "")
    assert nginx.post(body, "/v1/rights", source="127.0.0.8").status == 422
    assert nginx.post(beacon(), source="127.0.0.7").status == 202


def test_both_hosts_ask_for_tls_from_then_on(nginx: Nginx) -> None:
    """Both hosts send HSTS, also in nginx's own responses."""
    for path in ("/v1/schema.json", "/metrics", "/nothing"):
        assert "strict-transport-security" in nginx.request("GET", path).headers
    answer = Client(nginx.port, nginx._tls, DASHBOARD).raw(
        f"GET /login?secret HTTP/1.1\r\nHost: {DASHBOARD}\r\nConnection: close\r\n\r\n".encode(), ends=False
    )
    assert b"Strict-Transport-Security: max-age=31536000" in answer
    for name in ("pharos.error.log", "main.log", "access.log"):
        assert "secret" not in (nginx.folder / name).read_text()


HEAD = f"{abuse.HEAD}Content-Length: 1000\r\n\r\n{{".encode()


def test_an_address_has_so_many_requests_at_once(nginx: Nginx) -> None:
    """An address has a limit of connections and gets a 429 above it. Other addresses are not affected."""
    with contextlib.ExitStack() as stack:
        for _ in range(PER_ADDRESS):
            stack.enter_context(nginx.connect("127.0.0.3")).sendall(HEAD)
        wait_for(lambda: nginx.post(beacon(), source="127.0.0.3").status == 429, "nginx to have read them all")
        refused = nginx.post(beacon(), source="127.0.0.3")
        assert refused.why == (429, "rate_limited", "")
        assert int(refused.headers["retry-after"]) > 0
        assert nginx.post(beacon(), source="127.0.0.4").status == 202


def test_slow_clients_hold_up_nobody_and_are_ended(nginx: Nginx) -> None:
    """200 slow clients delay no beacon. A client that is silent for ten seconds is disconnected."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(nginx.connect(f"127.0.1.{number % 10}")) for number in range(200)]
        for number, connection in enumerate(slow):
            connection.sendall((b"", HEAD[:40], HEAD)[number % 3])
        began = time.monotonic()
        for _ in range(50):
            assert nginx.post(beacon()).status == 202
        assert time.monotonic() - began < SLOW_SECONDS
        for connection in slow:
            connection.settimeout(6 * SLOW_SECONDS)
            assert connection.recv(4096) == b""
    assert nginx.post(beacon()).status == 202


class Upstream:
    """Replaces the collector: reads a request, then closes, sends garbage or hangs, depending on the path."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.paths: list[str] = []
        self._hanging: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # until it is closed
            while True:
                connection, _ = self._listener.accept()
                path = connection.recv(65536).split()[1].decode()
                self.paths.append(path)
                if path == "/hang":
                    self._hanging.append(connection)
                    continue
                if path == "/nonsense":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Nonsense: \0\r\n\r\n")
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        for each in (self._listener, *self._hanging):
            each.close()


def unavailable(answer: Answer) -> bool:
    """Return whether a response is the specified 503."""
    return answer.why == (503, "unavailable", "") and int(answer.headers["retry-after"]) > 0


def test_a_collector_that_fails_is_a_503(tmp_path: Path) -> None:
    """If the collector closes, sends garbage or hangs, the response is a 503 with Retry-After.

    No post is sent twice.
    """
    paths = ["/close", "/nonsense", "/hang"]
    with (
        contextlib.closing(Upstream()) as upstream,
        Nginx(tmp_path, upstream.port) as nginx,
        ThreadPoolExecutor() as pool,
    ):
        assert all(map(unavailable, pool.map(lambda path: nginx.post(beacon(), path), paths)))
        assert sorted(upstream.paths) == sorted(paths)


def test_a_collector_that_is_away_is_a_503(tmp_path: Path) -> None:
    """If the collector is stopped, the response is a 503 with Retry-After, and the log stays empty."""
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY) as collector, Nginx(tmp_path, collector.port) as nginx:
        assert nginx.post(beacon()).status == 202
        assert collector.stop() == 0
        for _ in range(3):
            assert unavailable(nginx.post(beacon()))
        assert nginx.log.read_text() == ""


def test_a_dashboard_that_is_down_is_a_503(tmp_path: Path) -> None:
    """A browser gets a page that says so, and the read API a problem document. The log names no reader."""
    with contextlib.closing(Upstream()) as upstream:
        down = upstream.port
    with Nginx(tmp_path, collector=down, dashboard=down) as nginx:
        dashboard = Client(nginx.port, nginx._tls, DASHBOARD)
        for line in ("GET /", "GET /features?module=a", "POST /login"):
            asked = f"{line} HTTP/1.1\r\nHost: {DASHBOARD}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            page = dashboard.raw(asked.encode(), ends=False)
            assert page.startswith(b"HTTP/1.1 503 ")
            assert b"Content-Type: text/html; charset=utf-8" in page
            assert b"The dashboard is unavailable" in page
            assert b"Retry-After: 30" in page
        answer = dashboard.request("GET", "/api/v1/metrics/installs")
        assert unavailable(answer)
        assert answer.json["detail"] == "the dashboard cannot be reached"
        assert nginx.log.read_text() == ""


def test_nothing_is_written_down(nginx: Nginx) -> None:
    """After good and bad requests no log contains an address, and there are no other files."""
    nginx.post(beacon())
    Client(nginx.plain_port).raw(b"GET / HTTP/1.1\r\nHost: telemetry.example.com\r\n\r\n")
    for sent in (b"", b"\x16\x03\x01\xff\xff", b"\0" * 3000, bytes(range(256)) * 9):
        Client(nginx.port).raw(sent, ends=True)
    assert {path.name for path in nginx.folder.iterdir()} == {
        "access.log", "fastcgi", "fullchain.pem", "main.log", "nginx.conf", "nginx.pid", "pharos.conf",
        "pharos.error.log", "privkey.pem", "scgi", "uwsgi",
    }  # fmt: skip
    for name in ("pharos.error.log", "main.log", "access.log"):
        assert "127.0." not in (nginx.folder / name).read_text()
