"""A collector made of paper, a server with PHP, and the contract's beacon as patterns."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pharos import sdk

LOUD = ("-d", "display_errors=1", "-d", "error_reporting=-1", "-d", "log_errors=0")
KEY = "ingest-key"
DAY = 86400
LICENSE_KEY = "WHMCS-0123456789-secret"

VERSION = r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,31}"
NAME = r"[a-z0-9][a-z0-9._-]{0,31}"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
VIRTUALIZATIONS = (
    "none unknown other qemu kvm amazon zvm vmware microsoft oracle powervm xen bochs uml parallels bhyve qnx acrn"
    " apple sre google vm-other openvz lxc lxc-libvirt systemd-nspawn docker podman rkt wsl proot pouch container-other"
)
BEACON: dict[str, Any] = {
    "schema": "1",
    "beacon_id": UUID,
    "install_id": UUID,
    "sent_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "reason": "heartbeat|activate|deactivate|upgrade",
    "consent": {"level": "full|license", "policy?": VERSION},
    "module": {"name": "[a-z][a-z0-9_]{0,63}", "version": VERSION},
    "license": {
        "status": "licensed|unlicensed|trial|expired|suspended|invalid|unknown",
        "source": "[a-z0-9][a-z0-9._-]{0,63}",
        "key_hash?": "[0-9a-f]{64}",
    },
    "server?": {
        "os": {
            "family": "linux|windows|bsd|darwin|other|unknown",
            "name?": NAME,
            "version?": VERSION,
            "arch?": NAME,
        },
        "virtualization": {"type": VIRTUALIZATIONS.replace(" ", "|"), "detection?": NAME},
    },
    "platform?": {name + "?": VERSION for name in ("whmcs", "php", "database", "web_server", "sapi")},
    "features?": {"*": r"\d{1,10}"},
}


def misfits(value: Any, rule: Any = BEACON, path: str = "beacon") -> list[str]:
    """Where a value departs from the contract: paths, empty when it fits."""
    if isinstance(rule, str):
        fits = isinstance(value, str | int) and re.fullmatch(rule, str(value))
        return [] if fits else [f"{path}={value!r}"]
    if not isinstance(value, dict):
        return [path]
    if "*" in rule:
        return [bad for name in value for bad in misfits(value[name], rule["*"], f"{path}.{name}")]
    rules = {name.rstrip("?"): inner for name, inner in rule.items()}
    missing = [f"{path}.{name}" for name in rule if not name.endswith("?") and name not in value]
    unknown = [f"{path}.{name}" for name in value if name not in rules]
    inside = [bad for name in value.keys() & rules for bad in misfits(value[name], rules[name], f"{path}.{name}")]
    return missing + unknown + inside


def accepted(next_in: object = DAY, **more: object) -> str:
    """The body of a 202."""
    return json.dumps({"accepted": 1, "duplicates": 0, "rejected": [], "next_in": next_in, **more})


def refusal(status: int, reason: str, path: str = "", **more: object) -> str:
    """The body of a problem."""
    return json.dumps({"title": "No", "status": status, "reason": reason, "path": path, "detail": "no", **more})


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def beacons(self) -> list[Any]:
        """The beacons of the request, in order."""
        value = json.loads(self.body)
        return value if isinstance(value, list) else [value]

    @property
    def beacon(self) -> Any:
        """The only beacon of the request."""
        [beacon] = self.beacons
        return beacon


@dataclass
class Collector:
    """Gives the answers that a test lays out (then 202 for ever) and keeps what it was sent."""

    answers: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    always: tuple[int, str, dict[str, str]] | None = None
    refused: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)  # by ingest key
    hold: float = 0
    drip: bool = False
    url: str = ""

    def will_answer(self, status: int, body: str = "", **headers: str) -> None:
        """Lay out the next answer."""
        self.answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    @property
    def beacons(self) -> list[Any]:
        """All beacons that it was sent."""
        return [beacon for request in self.requests for beacon in request.beacons]


@contextlib.contextmanager
def paper_collector() -> Iterator[Collector]:
    """Run a collector of paper on a free port."""
    paper = Collector()
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            paper.requests.append(Request(self.command, self.path, headers, body))
            closing.wait(paper.hold)
            plain = paper.refused.get(headers.get("authorization", "")[7:]) or paper.always or (202, accepted(), {})
            status, text, sent = paper.answers.pop(0) if paper.answers else plain
            self.send_response(status)
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            while paper.drip and not closing.wait(0.2):
                self.wfile.write(b" ")
                self.wfile.flush()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client had enough
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    paper.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield paper
    finally:
        closing.set()
        server.shutdown()
        server.server_close()


@dataclass
class Host:
    """A server with PHP: a folder of state, and php runs that share it."""

    url: str
    folder: Path
    module: str = "invoice_pro"
    shift: int = 0
    options: str = "'consent' => 'full'"
    php: tuple[str, ...] = ("php",)

    @property
    def state(self) -> Path:
        """The folder of the client."""
        return self.folder / "state"

    @property
    def files(self) -> tuple[Path, Path]:
        """The vendor's two files, made for this collector."""
        first, rest = self.folder / "pharos.php", self.folder / "pharos-rest.php"
        if not first.exists() or self.url not in first.read_text():
            for path, text in zip((first, rest), sdk.php_pair("Acme", self.url, KEY, rest.name), strict=True):
                path.write_text(text)
        return first, rest

    @property
    def client(self) -> Path:
        """The first of the vendor's files."""
        return self.files[0]

    def script(self, code: str, options: str = "", module: str = "") -> Path:
        """A script in which $client is the module's client, and the clock is moved by `shift`."""
        path = self.folder / "script.php"
        path.write_text(
            f"<?php\nrequire_once {str(self.client)!r};\n"
            "$loaded = array_values(Acme\\Pharos\\Copies::$loaded);\n$inner = end($loaded);\n"
            f"$clock = $inner . '\\Clock';\n$clock::$shift = {self.shift};\n"
            f"$state = {str(self.state)!r};\n"
            f"$options = [{options}] + [{self.options}] + ['state' => $state, 'version' => '1.0.0'];\n"
            f"$client = Acme\\Pharos\\Client::module({(module or self.module)!r}, $options);\n{code}\n"
        )
        return path

    def run(self, code: str, options: str = "", ini: tuple[str, ...] = (), module: str = "", **env: str) -> Any:
        """What the code prints, which must be JSON alone: a warning on either stream fails the test."""
        return self.execute(self.script(code, options, module), ini, **env)

    def execute(self, script: Path, ini: tuple[str, ...] = (), **env: str) -> Any:
        """What a script prints, which must be JSON alone."""
        done = subprocess.run(
            [*self.php, *LOUD, *ini, str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **env},
        )
        assert done.stderr == ""
        assert done.stdout, done
        return json.loads(done.stdout)

    def count(self, **features: int) -> None:
        """Count features in a process of its own, as a page does."""
        calls = "".join(f"$client->count({name!r}, {uses}) || exit(1);" for name, uses in features.items())
        assert self.run(calls + "echo 1;") == 1

    def tick(self, options: str = "", ini: tuple[str, ...] = (), **env: str) -> Any:
        """Run the cron once; return its result."""
        return self.run("echo json_encode($client->tick());", options, ini, **env)

    def sleep(self, seconds: int) -> None:
        """Let time pass for the client."""
        self.shift += seconds

    def kept(self) -> Any:
        """The stored state."""
        return json.loads((self.state / "state.json").read_text())

    def change(self, change: Callable[[Any], None]) -> None:
        """Change the stored state."""
        state = self.kept()
        change(state)
        for name in ("state.json", "state.json.bak"):
            (self.state / name).write_text(json.dumps(state))
