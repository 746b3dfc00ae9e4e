"""A running collector for tests. Every response is checked for the properties that all responses share."""

import contextlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from collector.problems import STATUS
from tests.end_to_end.system import free_ports
from tests.pharos_cli.command import PHAROS, environment

KEY = "the-first-ingest-key"
START_SECONDS = 90.0
PROBLEM = {"type", "title", "status", "reason", "path", "detail"}
# All that an answer's headers may be: none repeats anything of the request.
HEADERS = {
    "accept", "accept-encoding", "allow", "cache-control", "connection", "content-length", "content-type", "date",
    "retry-after", "server", "strict-transport-security", "transfer-encoding", "www-authenticate",
    "x-content-type-options", "x-request-id",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A response: status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed JSON body."""
        return json.loads(self.body)

    @property
    def why(self) -> tuple[int, str, str]:
        """Status, reason and path of a rejection."""
        return self.status, self.json["reason"], self.json["path"]


class Client:
    """Sends requests to a port of this machine, plain or with TLS, each on a connection of its own."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, host: str = "localhost") -> None:
        self.port, self._tls, self._host = port, tls, host

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """A new connection, from any address of the loopback network."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=45, source_address=(source, 0))
        return self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls else plain

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str | None] | None = None,
        source: str = "127.0.0.1",
    ) -> Answer:
        """One request; pieces of a body are sent chunked, a header None is left out."""
        connection = http.client.HTTPConnection(self._host)
        connection.sock = self.connect(source)
        try:
            given = {name: value for name, value in (headers or {}).items() if value is not None}
            chunked = body is not None and not isinstance(body, bytes)
            if chunked:
                given["Transfer-Encoding"] = "chunked"
            connection.request(method, path, body, given, encode_chunked=chunked)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, fields, response.read())
        finally:
            connection.close()
        return checked(answer)

    def post(
        self,
        body: Any,
        path: str = "/v1/beacons",
        key: str | None = KEY,
        source: str = "127.0.0.1",
        **headers: str | None,
    ) -> Answer:
        """Post beacons (JSON is made of anything but bytes); `Content_Encoding="gzip"` is a header."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        authorization = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return self.request("POST", path, raw, {"Content-Type": "application/json", **authorization, **given}, source)

    def raw(self, sent: bytes, ends: bool = True) -> bytes:
        """Send bytes and return everything received until the other side closes.

        `ends` closes our side after sending.
        """
        with self.connect() as connection:
            received = b""
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # closed before it had read all
                connection.sendall(sent)
                if ends and isinstance(connection, ssl.SSLSocket):
                    connection.unwrap()
                elif ends:
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    received += piece
        return received


class Collector(Client):
    """`pharos collector` as a process, from its first answer to SIGTERM."""

    def __init__(self, home: Path, command: Sequence[str] = PHAROS, **settings: str) -> None:
        super().__init__(free_ports(1)[0])
        self.home = home
        self.log = home.with_suffix(".log")
        settings = {"PHAROS_COLLECTOR_BIND": f"127.0.0.1:{self.port}", "PHAROS_COLLECTOR_WORKERS": "2", **settings}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "collector"], env=environment(home, settings), stdout=log, stderr=log
            )

    def __enter__(self) -> "Collector":
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                assert self.request("GET", "/healthz").status == 200
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(self.log.read_text()) from None
                time.sleep(0.05)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        status = self.stop()
        assert kind is not None or status == 0, self.log.read_text()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The ids of its gunicorn workers."""
        master = self._process.pid
        return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def processes(self) -> list[int]:
        """The ids of gunicorn and, behind it, of its workers."""
        return [self._process.pid, *self.workers()]

    def stop(self) -> int:
        """Stop it as an init system does; returns its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(90)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def checked(answer: Answer) -> Answer:
    """Check what holds for every response: no 5xx except 503, only known headers, a problem document for each error."""
    assert answer.status < 500 or (answer.status == 503 and int(answer.headers["retry-after"]) > 0), answer
    assert answer.headers.keys() <= HEADERS
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        if answer.body:  # none for HEAD
            assert answer.json.keys() >= PROBLEM
            assert answer.json["status"] == answer.status == STATUS[answer.json["reason"]]
            assert answer.json["type"] == "about:blank"
            assert answer.json["title"]
    return answer
