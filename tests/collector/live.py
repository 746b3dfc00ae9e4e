"""A running collector to post to; every answer of it is held to what all answers have in common."""

import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from collector.problems import STATUS
from tests.pharos_cli.command import PHAROS, environment

KEY = "the-first-ingest-key"
START_SECONDS = 30.0
PROBLEM = {"type", "title", "status", "reason", "path", "detail"}


@dataclass(frozen=True)
class Answer:
    """A status, the headers by lower-case name, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)

    @property
    def why(self) -> tuple[int, str, str]:
        """Status, reason and path of a refusal."""
        return self.status, self.json["reason"], self.json["path"]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class Collector:
    """`pharos collector` as a process, from its first answer to SIGTERM.

    `available` False: the test takes away what it needs, and the one 5xx that is specified is no failure.
    """

    def __init__(self, home: Path, command: Sequence[str] = PHAROS, **settings: str) -> None:
        self.home, self.port = home, free_port()
        self.available = True
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

    def stop(self) -> int:
        """Stop it as an init system does; returns its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def processes(self) -> list[int]:
        """The process ids of gunicorn and, behind it, of its workers."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str | None] | None = None,
    ) -> Answer:
        """One request on a connection of its own; pieces of a body are sent chunked, a header None is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
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
        return checked(answer, self.available)

    def post(
        self,
        body: Any,
        path: str = "/v1/beacons",
        key: str | None = KEY,
        **headers: str | None,
    ) -> Answer:
        """Post beacons (JSON is made of anything but bytes); `Content_Encoding="gzip"` is a header."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        authorization = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return self.request("POST", path, raw, {"Content-Type": "application/json", **authorization, **given})

    def raw(self, sent: bytes) -> bytes:
        """All that comes back for these bytes until the collector closes, or for half a minute."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            received = b""
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    received += piece
            except ConnectionError:
                pass  # closed before it had read all
        return received


def checked(answer: Answer, available: bool = True) -> Answer:
    """What every answer keeps to: no 5xx, no cookie, and every refusal a whole problem document."""
    if answer.status >= 500:
        assert not available, answer
        assert answer.why == (503, "unavailable", "")
        assert int(answer.headers["retry-after"]) > 0
    assert "set-cookie" not in answer.headers
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        if answer.body:  # none for HEAD
            assert answer.json.keys() >= PROBLEM
            assert answer.json["status"] == answer.status == STATUS[answer.json["reason"]]
            assert answer.json["type"] == "about:blank"
            assert answer.json["title"]
    return answer
