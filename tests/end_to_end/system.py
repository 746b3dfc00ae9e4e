"""A complete Pharos for tests: real processes and ports, and a home in a temporary folder."""

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import pytest

from core.credentials import Credentials, Role
from core.home import Home
from core.settings import Settings
from tests.migrated import give_tables
from tests.processes import command

KEY = "ingest-key-of-the-tests"
PASSWORD = "password-of-the-tests"


class System:
    """`pharos serve` with its own home. An empty `clickhouse_url` selects the embedded engine."""

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
        self._given = settings
        self._tokens: dict[str, str] = {}

    def start(self, figures: str = "/readyz") -> None:
        """Start, then wait until beacons are accepted and the dashboard responds at `figures`."""
        with (self.home.parent / f"{self.home.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pharos", "serve"], env=self.environ, stdout=log, stderr=log
            )
        wait_for(
            lambda: self.answers(self.collector) and self.answers(self.dashboard, figures), "the system to start", 180
        )

    def stop(self) -> int:
        """Stop with SIGTERM; return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def log(self) -> str:
        """Return the output of all processes."""
        return (self.home.parent / f"{self.home.name}.log").read_text(errors="replace")

    @property
    def settings(self) -> Settings:
        """Return the settings of its processes."""
        return Settings.from_environ(self.environ)

    def processes(self) -> dict[int, str]:
        """Return the command lines of its processes, by process id."""
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
        """Return the process ids of a part's gunicorn workers."""
        pids = {pid for pid, line in self.processes().items() if f"pharos {part}" in line}
        return [pid for pid in pids if parent(pid) in pids]

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a `pharos` command with the same home."""
        if "PYTHONPATH" not in self._given:
            return command(arguments, self.environ, stdin, 300)
        return subprocess.run(  # another version
            [sys.executable, "-m", "pharos", *arguments],
            env=self.environ,
            input=stdin,
            capture_output=True,
            timeout=300,
        )

    def drain(self) -> None:
        """Wait until all posted beacons are in the figures."""
        last = self._spooled("SELECT max(seq) FROM beacons")

        def loaded() -> bool:
            return last is None or not self._spooled(f"SELECT 1 FROM beacons WHERE seq <= {last} LIMIT 1")

        wait_for(loaded, "the beacons to be loaded", 120)

    def load(self, beacons: Iterable[dict[str, Any]]) -> None:
        """Import beacons, of which each is new and valid, and wait until they are in the figures."""
        lines = [json.dumps(one) for one in beacons]
        done = self.run("import", "-", stdin="\n".join(lines).encode())
        assert done.stdout.decode().splitlines()[-1] == f"imported={len(lines)} duplicates=0 rejected=0"
        self.drain()

    def in_operation(self) -> "System":
        """This system, started again if a test before has stopped it."""
        assert self.process is not None
        if self.process.poll() is not None:
            self.start()
        return self

    def _spooled(self, sql: str) -> Any:
        """Return one value from the spool; a closed file again, because an open one changes what a crash leaves."""
        with closing(sqlite3.connect(f"file:{self.home}/spool.sqlite?mode=ro", uri=True, timeout=60)) as spool:
            found = spool.execute(sql).fetchone()
        return found and found[0]

    def post(
        self, body: bytes | list[Any] | dict[str, Any], path: str = "/v1/beacons", **headers: str
    ) -> tuple[int, Any]:
        """Post beacons; return status and JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"} | headers
        return fetch(urllib.request.Request(self.collector + path, data, headers))

    def read(self, path: str, role: str = "admin", **arguments: str) -> tuple[int, Any]:
        """Query the read API; return status and JSON."""
        new = role not in self._tokens
        if new:
            self._tokens[role] = self._new_token(role)
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

    def _new_token(self, role: str) -> str:
        if "PYTHONPATH" in self._given:  # another version, with a file of its own form
            return self.run("tokens", "new", "--role", role).stdout.decode().strip()
        return Credentials(self.home / "credentials.sqlite").add_token(Role(role))

    def rows(self, metric: str, **arguments: str) -> list[dict[str, Any]]:
        """Return the rows of a metric."""
        status, answer = self.read(f"/api/v1/metrics/{metric}", **arguments)
        assert status == 200, answer
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    def answers(self, address: str, path: str = "/healthz") -> bool:
        """Return whether a part is healthy, or with `/readyz` whether it is ready."""
        try:
            return fetch(address + path)[0] == 200
        except (OSError, HTTPException):  # not up yet, or killed while it answered
            return False


def fetch(request: urllib.request.Request | str) -> tuple[int, Any]:
    """Return status and JSON of a request."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def parent(pid: int) -> int:
    """Return the parent of a process, or 0 if the process is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def free_ports(count: int) -> list[int]:
    """Return unused ports outside the range from which the kernel assigns ports to connections."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            one = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", random.randrange(10_000, 32_768)))
                found.append(int(one.getsockname()[1]))
    return found


def wait_for(condition: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Wait until `condition()` is true. Fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


AVAILABLE = ["embedded", *(["server"] if os.environ.get("CLICKHOUSE_URL") else [])]
# The same as parameters of a test, so that `-m server` selects the tests that use a server.
ENGINES = [pytest.param(name, marks=[pytest.mark.server] if name == "server" else []) for name in AVAILABLE]


# The databases on the server that `drop_databases` has not dropped yet.
DATABASES: list[str] = []


def clickhouse_url(engine: str) -> str:
    """Return the URL of a new database on the server, or "" for the embedded engine. It is gone after the test."""
    if engine == "embedded":
        return ""
    DATABASES.append(f"pharos_{uuid.uuid4().hex[:12]}")
    return urlunsplit(urlsplit(os.environ["CLICKHOUSE_URL"])._replace(path=f"/{DATABASES[-1]}"))


def drop_databases(begin: int) -> None:
    """Drop the databases from that one on, without waiting: an idle one costs a server of the tests 1% of a core.

    On a cluster it is twice as much.
    """
    address, cluster = urlsplit(os.environ.get("CLICKHOUSE_URL", "")), os.environ.get("CLICKHOUSE_CLUSTER", "")
    where = f"ON CLUSTER {cluster} SETTINGS distributed_ddl_task_timeout = 0" if cluster else ""
    while len(DATABASES) > begin:
        with contextlib.suppress(OSError, HTTPException):
            connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
            connection.request("POST", "/", f"DROP DATABASE IF EXISTS {DATABASES.pop()} {where}")
            connection.getresponse().read()


@contextlib.contextmanager
def running(home: Path, engine: str, **settings: str) -> Iterator[System]:
    """Run a system, and end all its processes afterwards. The embedded engine has its tables already."""
    if engine == "embedded":
        give_tables(Home(home))
    with running_new(home, engine, **settings) as system:
        yield system


@contextlib.contextmanager
def running_new(home: Path, engine: str, **settings: str) -> Iterator[System]:
    """Like `running`, from nothing: it makes its tables itself."""
    url = clickhouse_url(engine)
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "") if url else ""
    with running_at(url, home, **{"PHAROS_CLICKHOUSE_CLUSTER": cluster, **settings}) as system:
        yield system


@contextlib.contextmanager
def running_at(url: str, home: Path, figures: str = "/readyz", **settings: str) -> Iterator[System]:
    """Like `running`, with the ClickHouse at `url`. Without ClickHouse, `figures` must be `/healthz`."""
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
