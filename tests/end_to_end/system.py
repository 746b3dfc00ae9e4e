"""A whole Pharos of its own for a test: real processes, real ports, a home in a temporary folder."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import pytest

from core.settings import Settings

KEY = "ingest-key-of-the-tests"
PASSWORD = "password-of-the-tests"


class System:
    """`pharos serve` over a home; `clickhouse_url` empty is the embedded engine."""

    def __init__(self, home: Path, clickhouse_url: str = "", cluster: str = "", **settings: str) -> None:
        self.home = home
        self.collector, self.dashboard = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("PHAROS_")} | {
            "PHAROS_HOME": str(home),
            "PHAROS_COLLECTOR_BIND": self.collector.removeprefix("http://"),
            "PHAROS_DASHBOARD_BIND": self.dashboard.removeprefix("http://"),
            "PHAROS_INGEST_KEY": KEY,
            "PHAROS_ADMIN_PASSWORD": PASSWORD,
            "PHAROS_CLICKHOUSE_URL": clickhouse_url,
            "PHAROS_CLICKHOUSE_CLUSTER": cluster,
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[str, str] = {}

    def start(self, figures: str = "/readyz") -> None:
        """Start it and wait until beacons are taken and figures can be read, or the dashboard answers at `figures`."""
        with (self.home.parent / f"{self.home.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pharos", "serve"], env=self.environ, stdout=log, stderr=log
            )
        wait_for(
            lambda: self.answers(self.collector) and self.answers(self.dashboard, figures), "the system to start", 180
        )

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def log(self) -> str:
        """All that the processes wrote."""
        return (self.home.parent / f"{self.home.name}.log").read_text(errors="replace")

    @property
    def settings(self) -> Settings:
        """The settings that its processes have."""
        return Settings.from_environ(self.environ)

    def processes(self) -> dict[int, str]:
        """The command lines of all living processes of this system, by process id."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                environ = (folder / "environ").read_bytes().split(b"\0")
                if f"PHAROS_HOME={self.home}".encode() in environ:
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        found.pop(os.getpid(), None)
        return found

    def workers(self, part: str) -> list[int]:
        """The process ids of a part's gunicorn workers (its processes that are children of one another)."""
        pids = {pid for pid, line in self.processes().items() if f"pharos {part}" in line}
        return [pid for pid in pids if parent(pid) in pids]

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """A `pharos` command over the same home."""
        return subprocess.run(
            [sys.executable, "-m", "pharos", *arguments],
            env=self.environ,
            input=stdin,
            capture_output=True,
            timeout=300,
        )

    def drain(self) -> None:
        """Wait until all that was posted is in the figures."""
        done = self.run("drain", "--timeout", "120")
        assert done.returncode == 0, done.stderr

    def post(
        self, body: bytes | list[Any] | dict[str, Any], path: str = "/v1/beacons", **headers: str
    ) -> tuple[int, Any]:
        """Post beacons; returns status and answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"} | headers
        return fetch(urllib.request.Request(self.collector + path, data, headers))

    def read(self, path: str, role: str = "admin", **arguments: str) -> tuple[int, Any]:
        """Ask the read API; returns status and answer."""
        new = role not in self._tokens
        if new:
            self._tokens[role] = self.run("tokens", "new", "--role", role).stdout.decode().strip()
        url = f"{self.dashboard}{path}?{urlencode(arguments)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._tokens[role]}"})
        answer = fetch(request)

        def known() -> bool:
            nonlocal answer
            if answer[0] == 401:
                answer = fetch(request)
            return answer[0] != 401

        if new:  # a running system knows it a second later; once it does it is asked no more, for each look is recorded
            wait_for(known, "the token to be known")
        return answer

    def rows(self, metric: str, **arguments: str) -> list[dict[str, Any]]:
        """The rows of a metric."""
        status, answer = self.read(f"/api/v1/metrics/{metric}", **arguments)
        assert status == 200, answer
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    def answers(self, address: str, path: str = "/healthz") -> bool:
        """Whether a part says that it is healthy, or with `/readyz` that it is ready."""
        try:
            return fetch(address + path)[0] == 200
        except (OSError, HTTPException):  # not up yet, or killed while it answered
            return False


def fetch(request: urllib.request.Request | str) -> tuple[int, Any]:
    """Status and answer of a request."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def parent(pid: int) -> int:
    """The process that started this one; 0 for one that is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens now, and none that the kernel may give to a connection before we listen there."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            one = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", random.randrange(10_000, 32_768)))
                found.append(int(one.getsockname()[1]))
    return found


def wait_for(condition: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Return once `condition()` is true; fail with `what` when it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


AVAILABLE = ["embedded", *(["server"] if os.environ.get("CLICKHOUSE_URL") else [])]
# The same as parameters of a test, so that `-m server` selects the tests that use a server.
ENGINES = [pytest.param(name, marks=[pytest.mark.server] if name == "server" else []) for name in AVAILABLE]


def clickhouse_url(engine: str) -> str:
    """A database of its own on the server; "" for the embedded engine."""
    if engine == "embedded":
        return ""
    return urlunsplit(urlsplit(os.environ["CLICKHOUSE_URL"])._replace(path=f"/pharos_{uuid.uuid4().hex[:12]}"))


@contextlib.contextmanager
def running(home: Path, engine: str, **settings: str) -> Iterator[System]:
    """A system that runs, and is ended with all its processes whatever the test does."""
    url = clickhouse_url(engine)
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "") if url else ""
    with running_at(url, home, **{"PHAROS_CLICKHOUSE_CLUSTER": cluster, **settings}) as system:
        yield system


@contextlib.contextmanager
def running_at(url: str, home: Path, figures: str = "/readyz", **settings: str) -> Iterator[System]:
    """As `running`, over the ClickHouse at `url`; where there is none, `figures` is `/healthz`."""
    system = System(home, url, **settings)
    try:
        system.start(figures)
        yield system
    finally:
        if system.process is not None and system.process.poll() is None:
            system.stop()
        for pid in system.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
