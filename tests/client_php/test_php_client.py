"""The PHP client, run by the real php, against a collector made of paper."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

SDK = Path(__file__).parents[2] / "client_sdk" / "php"
LOUD = ("-d", "display_errors=1", "-d", "error_reporting=-1", "-d", "log_errors=0")
ACCEPTED = json.dumps({"accepted": 1, "duplicates": 0, "rejected": [], "next_in": 86400})
REJECTED = json.dumps({"title": "Unprocessable", "status": 422, "reason": "bad_format", "path": "module.version"})
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


def misfits(value: Any, rule: Any, path: str = "beacon") -> list[str]:
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


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: str

    @property
    def beacon(self) -> Any:
        return json.loads(self.body)


@dataclass
class Collector:
    """Gives the answers that a test lays out (then 202 for ever) and keeps what it was sent."""

    answers: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    hold: float = 0
    drip: bool = False
    url: str = ""

    def will_answer(self, status: int, body: str = "", **headers: str) -> None:
        self.answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))


@pytest.fixture
def collector() -> Iterator[Collector]:
    paper = Collector()
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            paper.requests.append(
                Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            closing.wait(paper.hold)
            status, text, headers = paper.answers.pop(0) if paper.answers else (202, ACCEPTED, {})
            self.send_response(status)
            for name, value in headers.items():
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
    yield paper
    closing.set()
    server.shutdown()
    server.server_close()


@dataclass
class Host:
    """A WHMCS: a state file, and php runs that share it."""

    url: str
    state: Path
    module: str = "invoice_pro"

    def php(self, script: Path, *arguments: str, ini: tuple[str, ...] = (), **env: str) -> Any:
        """What the script prints, which must be JSON alone: a warning on either stream fails the test."""
        done = subprocess.run(
            ["php", *LOUD, *ini, str(script), *arguments],
            capture_output=True,
            text=True,
            timeout=90,
            env={**os.environ, **env},
        )
        assert done.stderr == ""
        return json.loads(done.stdout)

    def heartbeat(self, *arguments: str, ini: tuple[str, ...] = (), **env: str) -> Any:
        common = [f"--collector={self.url}", "--key=ingest-key", f"--state={self.state}", f"--module={self.module}"]
        return self.php(SDK / "example.php", *common, *arguments, ini=ini, **env)

    def count(self, *features: str) -> None:
        arguments = [f"--feature={feature}" for feature in features]
        assert self.heartbeat("--count-only", *arguments) == {"counted": True}

    def script(self, code: str, ini: tuple[str, ...] = (), **options: Any) -> Any:
        """Runs code in which $client is a client and $options what it was made of."""
        settings = {
            "collector": self.url,
            "ingest_key": "ingest-key",
            "consent": {"level": "full"},
            "module": {"name": self.module, "version": "1.0.0"},
            **options,
        }
        script = self.state.with_name("script.php")
        script.write_text(
            f"<?php\nrequire_once {str(SDK / 'Pharos.php')!r};\n"
            f"$options = json_decode({json.dumps(settings)!r}, true);\n"
            f"$options['store'] = new Pharos\\FileStore({str(self.state)!r});\n"
            f"$client = new Pharos\\Client($options);\n{code}\n"
        )
        return self.php(script, ini=ini)

    def kept(self) -> Any:
        return json.loads(self.state.read_text())

    def mine(self) -> Any:
        return self.kept()["modules"][self.module]

    def change_state(self, change: Callable[[Any], None]) -> None:
        state = self.kept()
        change(state)
        self.state.write_text(json.dumps(state))

    def a_day_passes(self) -> None:
        self.change_state(lambda state: state["modules"][self.module].update(due_at=0))


@pytest.fixture
def host(collector: Collector, tmp_path: Path) -> Host:
    return Host(collector.url, tmp_path / "state.json")


def test_a_beacon_fits_the_contract(host: Host, collector: Collector) -> None:
    """A heartbeat sends one beacon of exactly the contract's fields, each of its pattern."""
    answer = host.heartbeat(
        "--feature=invoice.pdf_export=12",
        "--feature=bulk_email",
        "--policy=2021-08",
        "--whmcs=9.0.1",
        "--database=mariadb-10.11",
        "--version=3.2.1",
        "--license-status=licensed",
        "--license-source=whmcs-addon-modules",
        f"--license-key={LICENSE_KEY}",
    )
    assert answer["status"] == "sent"
    assert answer["reason"] is None
    [request] = collector.requests
    assert misfits(request.beacon, BEACON) == []
    assert request.path == "/v1/beacons"
    assert request.beacon["schema"] == 1
    assert request.beacon["module"] == {"name": "invoice_pro", "version": "3.2.1"}
    assert request.beacon["consent"] == {"level": "full", "policy": "2021-08"}
    assert request.beacon["features"] == {"invoice.pdf_export": 12, "bulk_email": 1}
    assert request.beacon["server"]["os"]["family"] == "linux"
    assert request.beacon["platform"]["sapi"] == "cli"
    assert request.beacon["platform"]["whmcs"] == "9.0.1"


def test_the_request_says_who_it_is_and_carries_nothing_else(host: Host, collector: Collector) -> None:
    """The request has the ingest key, the media type and its own user agent, and no cookie."""
    host.heartbeat()
    headers = collector.requests[0].headers
    assert headers["authorization"] == "Bearer ingest-key"
    assert headers["content-type"] == "application/json"
    assert re.fullmatch(r"pharos-php/\d+\.\d+\.\d+", headers["user-agent"])
    assert headers.keys() == {"host", "accept", "authorization", "content-type", "content-length", "user-agent"}


def test_a_heartbeat_waits_for_its_time(host: Host, collector: Collector) -> None:
    """A second heartbeat on the same day sends nothing and says how long it will wait."""
    host.heartbeat()
    answer = host.heartbeat()
    assert answer["status"] == "not_due"
    assert 0 < answer["next_in"] <= 86400
    assert len(collector.requests) == 1


def test_a_daily_cron_is_never_a_minute_early(host: Host) -> None:
    """After `next_in` of a day, a cron that comes half an hour sooner than yesterday still sends."""
    host.heartbeat()
    assert host.mine()["due_at"] < time.time() + 86400 - 1800


@pytest.mark.parametrize(
    ("next_in", "longest"),
    [(600, 600), (0, 60), (-5, 60), (10**9, 7 * 86400), ("soon", 86400), (None, 86400)],
)
def test_the_collector_sets_the_pace_within_reason(
    host: Host, collector: Collector, next_in: object, longest: int
) -> None:
    """`next_in` is followed between a minute and a week, and is a day when it is missing or nonsense."""
    collector.will_answer(202, json.dumps({"accepted": 1, "next_in": next_in}))
    host.heartbeat()
    wait = host.mine()["due_at"] - time.time()
    assert longest * 0.9 - 5 < wait <= longest


def test_a_clock_set_back_does_not_silence_it(host: Host, collector: Collector) -> None:
    """A due time that a wrong clock put far ahead is not waited for."""
    host.heartbeat()
    host.change_state(lambda state: state["modules"][host.module].update(due_at=int(time.time()) + 10**8))
    assert host.heartbeat()["status"] == "sent"


@pytest.mark.parametrize("reason", ["activate", "deactivate", "upgrade"])
def test_an_event_is_sent_at_once(host: Host, collector: Collector, reason: str) -> None:
    """Activation, deactivation and upgrade do not wait until a heartbeat is due."""
    host.heartbeat()
    assert host.heartbeat(f"--reason={reason}")["status"] == "sent"
    assert [request.beacon["reason"] for request in collector.requests] == ["heartbeat", reason]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "oops"),
        (503, ""),
        (200, ACCEPTED),
        (202, "<html>welcome to the hotel</html>"),
        (202, "x" * 200_000),
        (202, '{"accepted": "yes"}'),
        (401, '{"reason": "unauthorized"}'),
        (403, '{"reason": "module_not_allowed"}'),
        (404, '{"reason": "not_found"}'),
        (408, ""),
        (422, "a proxy's own page"),
        (429, '{"reason": "rate_limited"}'),
    ],
)
def test_a_retry_is_the_same_beacon(host: Host, collector: Collector, status: int, body: str) -> None:
    """Without a good answer the same bytes go out again, and what was counted since waits for the next beacon."""
    collector.will_answer(status, body)
    answer = host.heartbeat("--feature=export=2")
    assert answer["status"] == "failed"
    assert answer["next_in"] > 0
    host.count("export=5")
    assert host.heartbeat()["status"] == "not_due"
    host.a_day_passes()
    assert host.heartbeat()["status"] == "sent"
    first, second = collector.requests
    assert first.body == second.body
    assert second.beacon["features"] == {"export": 2}
    host.a_day_passes()
    host.heartbeat()
    third = collector.requests[2].beacon
    assert third["beacon_id"] != first.beacon["beacon_id"]
    assert third["install_id"] == first.beacon["install_id"]
    assert third["features"] == {"export": 5}


def test_counts_go_only_with_a_202(host: Host, collector: Collector) -> None:
    """What was counted stays in the state until the collector has taken it, and is gone then."""
    host.count("export=2")
    assert host.mine()["counts"] == {"export": 2}
    collector.will_answer(500)
    host.heartbeat()
    [pending] = host.mine()["pending"].values()
    assert json.loads(pending["body"])["features"] == {"export": 2}
    host.a_day_passes()
    host.heartbeat()
    assert not host.mine()["pending"]
    assert not host.mine()["counts"]


def test_a_poisoned_beacon_does_not_come_back(host: Host, collector: Collector) -> None:
    """A beacon that the collector itself calls wrong is given up with its counts, and the next day starts clean."""
    collector.will_answer(422, REJECTED)
    answer = host.heartbeat("--feature=export=2")
    assert (answer["status"], answer["reason"]) == ("rejected", "bad_format")
    host.a_day_passes()
    assert host.heartbeat()["status"] == "sent"
    assert "features" not in collector.requests[1].beacon


def test_events_queue_behind_what_waits(host: Host, collector: Collector) -> None:
    """An event after a failure is sent together with the waiting beacon, which is unchanged."""
    collector.will_answer(500)
    host.heartbeat("--feature=export=2")
    host.count("export=5")
    assert host.heartbeat("--reason=upgrade")["status"] == "sent"
    first, batch = collector.requests
    waiting, event = batch.beacon
    assert waiting == first.beacon
    assert (event["reason"], event["features"]) == ("upgrade", {"export": 5})
    assert not host.mine()["pending"]


def test_events_do_not_pile_up(host: Host, collector: Collector) -> None:
    """However often events fail, the state keeps at most 20 beacons."""
    for _ in range(25):
        collector.will_answer(500)
    host.script("for ($i = 0; $i < 25; $i++) { $result = $client->heartbeat('upgrade'); } echo json_encode($result);")
    assert len(host.mine()["pending"]) == 20


def test_retries_back_off(host: Host, collector: Collector) -> None:
    """Each failure waits longer than the last, by chance within bounds, and never past half a day."""
    waits = []
    for _ in range(10):
        collector.will_answer(500)
        waits.append(host.heartbeat()["next_in"])
        host.a_day_passes()
    for turn, wait in enumerate(waits):
        backoff = min(43200, 600 * 2**turn)
        assert backoff // 2 - 2 <= wait <= backoff
    assert host.heartbeat()["status"] == "sent"
    assert host.mine()["failures"] == 0


def test_retry_after_is_respected(host: Host, collector: Collector) -> None:
    """A collector that says when to come again is not asked sooner."""
    collector.will_answer(503, '{"reason": "unavailable"}', Retry_After="5000")
    answer = host.heartbeat()
    assert answer["reason"] == "unavailable"
    assert 4990 <= answer["next_in"] <= 5000


def test_a_beacon_too_old_to_be_known_again_is_given_up(host: Host, collector: Collector) -> None:
    """A beacon that waited beyond the collector's memory is not sent, because it might count twice."""
    collector.will_answer(500)
    host.heartbeat("--feature=export=2")
    host.a_day_passes()

    def age(state: Any) -> None:
        for beacon in state["modules"][host.module]["pending"].values():
            beacon["made"] -= 30 * 86400

    host.change_state(age)
    host.heartbeat()
    first, second = (request.beacon for request in collector.requests)
    assert first["beacon_id"] != second["beacon_id"]
    assert "features" not in second


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "dripping"])
def test_a_collector_that_hangs_costs_three_seconds_at_most(host: Host, collector: Collector, drip: bool) -> None:
    """A collector that never finishes its answer holds the host for less than three seconds."""
    collector.hold, collector.drip = (0, True) if drip else (60, False)
    started = time.monotonic()
    answer = host.heartbeat()
    assert time.monotonic() - started < 20  # three in quiet; the collector would hold it for 60
    assert (answer["status"], answer["reason"]) == ("failed", "timeout")


def test_a_collector_that_does_not_accept_costs_a_second(host: Host) -> None:
    """A connection that is never made is given up after a second."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        host.url = f"http://127.0.0.1:{full.getsockname()[1]}"
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        started = time.monotonic()
        answer = host.heartbeat()
        assert time.monotonic() - started < 10  # one in quiet; the kernel gives up after 130
        assert (answer["status"], answer["reason"]) == ("failed", "timeout")
        for one in crowd:
            one.close()


def test_a_refused_connection_is_a_failure(host: Host) -> None:
    """A collector that is down is a failure with a reason, and the beacon is kept."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    answer = host.heartbeat()
    assert (answer["status"], answer["reason"]) == ("failed", "unreachable")
    assert len(host.mine()["pending"]) == 1


def test_redirects_are_not_followed(host: Host, collector: Collector) -> None:
    """A redirect is a failure: the key and the install id go to no other address."""
    collector.will_answer(302, Location=f"{collector.url}/elsewhere")
    assert host.heartbeat()["reason"] == "http_302"
    assert len(collector.requests) == 1


def test_a_certificate_must_be_right(host: Host, tmp_path: Path) -> None:
    """A collector with a certificate that nobody vouches for gets nothing."""
    pem, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {pem} -out {cert}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    host.url = f"https://localhost:{server.server_port}"
    try:
        assert host.heartbeat()["reason"] == "tls"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "url",
    ["http://telemetry.example.com", "http://127.0.0.1.example.com", "http://localhost@example.com", "ftp://x", "x y"],
)
def test_secrets_do_not_travel_in_the_clear(host: Host, url: str) -> None:
    """An address that is neither https nor this machine is refused before anything is sent."""
    host.url = url
    answer = host.heartbeat()
    assert (answer["status"], answer["reason"]) == ("failed", "bad_collector")


@pytest.mark.parametrize("folder", ["missing", "a-file"])
def test_an_unwritable_state_folder_is_a_failure(host: Host, collector: Collector, folder: str) -> None:
    """Where nothing can be kept nothing is sent, since each beacon would be a new install."""
    host.state.with_name("a-file").write_text("")
    host.state = host.state.with_name(folder) / "state.json"
    answer = host.heartbeat("--feature=export")
    assert (answer["status"], answer["reason"]) == ("failed", "state_unavailable")
    assert collector.requests == []


def test_an_unreadable_state_is_not_replaced(host: Host, collector: Collector) -> None:
    """A state that exists and cannot be read is left alone, and nothing is sent."""
    host.state.mkdir()
    assert host.heartbeat()["reason"] == "state_unavailable"
    assert host.state.is_dir()
    assert collector.requests == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"x"', '{"install_id": 5, "modules": {"invoice_pro": {"pending": {"a": 1}, "due_at": "x"}}}'],
)
def test_a_damaged_state_heals(host: Host, collector: Collector, text: str) -> None:
    """A state that makes no sense is as good as none."""
    host.state.write_text(text)
    assert host.heartbeat()["status"] == "sent"
    assert misfits(collector.requests[0].beacon, BEACON) == []


def test_a_crash_amid_writing_leaves_the_old_state(host: Host) -> None:
    """What a killed process left beside the state is swept aside by the next one."""
    host.count("export=2")
    host.state.with_name("state.json.tmp").write_text('{"half')
    host.count("export=3")
    assert host.mine()["counts"] == {"export": 5}
    assert not host.state.with_name("state.json.tmp").exists()


def test_the_state_is_for_its_owner_only(host: Host) -> None:
    """The state file has mode 0600 whatever the umask."""
    host.heartbeat()
    host.count("export")
    assert host.state.stat().st_mode & 0o777 == 0o600


def test_a_forbidding_php_still_sends(host: Host, collector: Collector, tmp_path: Path) -> None:
    """With open_basedir and the usual disabled functions the beacon goes out, and what cannot be seen is unknown."""
    basedir = f"open_basedir={tmp_path}:{SDK}"
    disabled = "disable_functions=exec,shell_exec,system,passthru,popen,proc_open,php_uname,putenv"
    assert host.heartbeat("--feature=export", ini=("-d", basedir, "-d", disabled))["status"] == "sent"
    beacon = collector.requests[0].beacon
    assert misfits(beacon, BEACON) == []
    assert beacon["server"] == {"os": {"family": "linux"}, "virtualization": {"type": "unknown"}}


def test_without_programs_the_files_tell(host: Host, collector: Collector) -> None:
    """Where proc_open is forbidden the virtualization comes from files, or is unknown."""
    host.heartbeat(ini=("-d", "disable_functions=exec,proc_open,shell_exec"))
    beacon = collector.requests[0].beacon
    assert misfits(beacon, BEACON) == []
    assert beacon["server"]["virtualization"].get("detection") in {None, "cgroup", "dockerenv", "dmi", "cpuinfo"}


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("echo kvm", {"type": "kvm", "detection": "systemd-detect-virt"}),
        ("echo none; exit 1", {"type": "none", "detection": "systemd-detect-virt"}),
        ("echo tomorrows-hypervisor", {"type": "other", "detection": "systemd-detect-virt"}),
        ("exec sleep 60", None),
        ("sleep 60", None),
        ("yes", None),
        ("exit 0", None),
    ],
)
def test_systemd_detect_virt_is_asked_but_not_waited_for(
    host: Host, collector: Collector, tmp_path: Path, program: str, found: object
) -> None:
    """The program's word is taken when it has one, and it is killed when it does not come to the point."""
    fake = tmp_path / "bin" / "systemd-detect-virt"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{program}\n")
    fake.chmod(0o755)
    started = time.monotonic()
    assert host.heartbeat(PATH=f"{fake.parent}:{os.environ['PATH']}")["status"] == "sent"
    assert time.monotonic() - started < 10  # half of one in quiet; the program would run for 60
    beacon = collector.requests[0].beacon
    assert misfits(beacon, BEACON) == []
    if found is not None:
        assert beacon["server"]["virtualization"] == found


def test_no_count_is_lost_between_processes(host: Host, collector: Collector) -> None:
    """Every count that returned true is sent once, with four processes and heartbeats at the same time.

    On a busy machine a count may wait too long for the lock. It then returns false and is not counted.
    """
    worker = host.state.with_name("worker.php")
    host.script("echo 0;")
    idle = host.state.with_name("script.php").read_text()
    counting = "for ($i = $n = 0; $i < 250; $i++) { $n += (int) $client->count('export'); } echo $n;"
    worker.write_text(idle.replace("echo 0;", counting))
    workers = [subprocess.Popen(["php", *LOUD, str(worker)], stdout=subprocess.PIPE) for _ in range(4)]
    host.heartbeat("--reason=upgrade")
    counted = sum(int(one.communicate(timeout=120)[0]) for one in workers)
    assert 500 < counted <= 1000
    host.heartbeat("--reason=upgrade")
    assert sum(request.beacon.get("features", {}).get("export", 0) for request in collector.requests) == counted


def test_at_most_200_features(host: Host, collector: Collector) -> None:
    """The 201st feature is not counted, and the beacon of 200 is whole."""
    counted = host.script(
        'for ($i = $n = 0; $i < 201; $i++) { $n += (int) $client->count("f$i"); } echo json_encode([$n]);'
    )
    assert counted == [200]
    host.heartbeat()
    assert len(collector.requests[0].beacon["features"]) == 200


def test_a_count_stops_at_the_contracts_limit(host: Host, collector: Collector) -> None:
    """A count never passes 4294967295."""
    host.count("export=4294967295")
    host.count("export=5")
    host.heartbeat()
    assert collector.requests[0].beacon["features"] == {"export": 4294967295}


@pytest.mark.parametrize(
    "arguments",
    ["'Export'", "'a b'", "'1a'", "''", "'a\n'", "str_repeat('a', 65)", "null", "[]", "'a', 0", "'a', -1", "'a', '1'"],
)
def test_a_slip_of_the_host_is_not_counted(host: Host, arguments: str) -> None:
    """A name or number that the contract does not allow gives false, and no error."""
    assert host.script(f"echo json_encode($client->count({arguments}));") is False


def test_odd_values_are_fitted_or_left_out(host: Host, collector: Collector) -> None:
    """One odd value from the host costs at most itself, never the beacon."""
    answer = host.script(
        "echo json_encode($client->heartbeat());",
        module={"name": "invoice_pro", "version": " (beta) 3.2.1 für alle, immer und noch viel länger als das "},
        license={"status": "maybe", "source": "Übersee / Shop", "key": ""},
        platform={"whmcs": "9.0.1 (stable)", "database": "", "php": "mine", "secret": "path"},
        consent={"level": "full", "policy": ["x"]},
    )
    assert answer["status"] == "sent"
    beacon = collector.requests[0].beacon
    assert misfits(beacon, BEACON) == []
    assert beacon["platform"]["whmcs"] == "9.0.1-stable"
    assert "database" not in beacon["platform"]
    assert "secret" not in beacon["platform"]
    assert beacon["license"] == {"status": "unknown", "source": "bersee-shop"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"module": {"name": "Invoice Pro", "version": "1"}}, "bad_module"),
        ({"module": "invoice_pro"}, "bad_module"),
        ({"module": None}, "bad_module"),
        ({"ingest_key": ""}, "bad_ingest_key"),
        ({"ingest_key": "a\r\nX-Other: b"}, "bad_ingest_key"),
        ({"collector": ["x"]}, "bad_collector"),
        ({"collector": ""}, "bad_collector"),
        ({"consent": {}}, None),
        ({"consent": "full"}, None),
    ],
)
def test_a_wrong_option_is_a_failure_that_names_it(
    host: Host, collector: Collector, options: dict[str, Any], reason: str | None
) -> None:
    """A client made of wrong options does nothing, and says which; a consent that is not one is a refusal."""
    answer = host.script("echo json_encode($client->heartbeat());", **options)
    assert (answer["status"], answer["reason"]) == ("failed" if reason else "refused", reason)
    assert collector.requests == []


def test_the_hosts_error_handler_is_left_alone(host: Host) -> None:
    """A host whose error handler throws sees neither warning nor exception, and has its handler back afterwards."""
    host.state = host.state.with_name("missing") / "state.json"
    script = host.state.parent.parent / "script.php"
    script.write_text(
        f"""<?php
        set_error_handler(function ($level, $text) {{ throw new ErrorException($text); }});
        require_once {str(SDK / "Pharos.php")!r};
        $client = new Pharos\\Client([
            'collector' => {host.url!r}, 'ingest_key' => 'k', 'consent' => ['level' => 'full'],
            'module' => ['name' => 'm', 'version' => '1'], 'store' => new Pharos\\FileStore({str(host.state)!r}),
        ]);
        $said = [$client->count('a'), $client->heartbeat()->status(), $client->installId()];
        $said[] = (new Pharos\\Client(['store' => 5]))->heartbeat()->status();
        $said[] = (new Pharos\\Client(['store' => 5, 'module' => new stdClass()]))->installId();
        $said[] = $client->heartbeat(null)->status();
        try {{ echo $undefined; }} catch (ErrorException $error) {{ $said[] = 'theirs'; }}
        echo json_encode([$said, error_get_last()]);
        """
    )
    assert host.php(script) == [[False, "failed", None, "refused", None, "failed", "theirs"], None]


def test_a_store_that_throws_is_a_failure(host: Host, collector: Collector) -> None:
    """Whatever a host's own store does, the host's page goes on."""
    said = host.script(
        "final class Broken implements Pharos\\Store {"
        " public function update(callable $change, float $patience): bool { throw new RuntimeException('down'); } }"
        "$options['store'] = new Broken(); $client = new Pharos\\Client($options);"
        "echo json_encode([$client->count('a'), $client->heartbeat()]);"
    )
    assert said == [False, {"status": "failed", "reason": "internal_error", "next_in": 0}]


def test_the_license_key_stays_at_home(host: Host, collector: Collector, tmp_path: Path) -> None:
    """The license key is in neither the state nor the body, only its SHA-256."""
    collector.will_answer(500)
    host.heartbeat(f"--license-key={LICENSE_KEY}", "--license-status=licensed")
    [request] = collector.requests
    assert request.beacon["license"]["key_hash"] == hashlib.sha256(LICENSE_KEY.encode()).hexdigest()
    assert LICENSE_KEY not in request.body + json.dumps(request.headers)
    for file in tmp_path.iterdir():
        assert LICENSE_KEY not in file.read_text()


def test_consent_license_sends_the_license_alone(host: Host, collector: Collector) -> None:
    """At level `license` nothing of the machine, the platform or the features leaves, or is even counted."""
    host.count("export=2")
    answer = host.heartbeat("--consent=license", "--feature=export", "--whmcs=9.0.1")
    assert answer["status"] == "sent"
    beacon = collector.requests[0].beacon
    assert misfits(beacon, BEACON) == []
    assert beacon["consent"] == {"level": "license"}
    assert beacon.keys().isdisjoint({"server", "platform", "features"})
    assert not host.mine()["counts"]


def test_lowered_consent_takes_back_what_waits(host: Host, collector: Collector) -> None:
    """A full beacon that still waits is not sent once consent is for the license only."""
    collector.will_answer(500)
    host.heartbeat("--feature=export")
    host.a_day_passes()
    host.heartbeat("--consent=license")
    assert "server" in collector.requests[0].beacon
    assert "server" not in collector.requests[1].beacon
    assert collector.requests[0].beacon["beacon_id"] not in host.state.read_text()


@pytest.mark.parametrize("level", ["refused", "ful", "FULL"])
def test_without_consent_nothing_is_sent_or_kept(host: Host, collector: Collector, level: str) -> None:
    """Anything but a known level is a refusal: no request, no count, no state."""
    answer = host.heartbeat(f"--consent={level}", "--feature=export", "--reason=activate")
    assert answer["status"] == "refused"
    assert collector.requests == []
    assert not host.state.exists()


def test_withdrawn_consent_forgets_what_was_counted(host: Host, collector: Collector) -> None:
    """After a refusal the counts and the waiting beacon are gone, and the install id stays for its rights."""
    collector.will_answer(500)
    host.heartbeat("--feature=export")
    host.count("export")
    host.heartbeat("--consent=refused")
    assert host.kept() == {"install_id": collector.requests[0].beacon["install_id"], "modules": []}


def test_modules_share_the_install_and_nothing_else(host: Host, collector: Collector) -> None:
    """Two modules on one WHMCS report the same install, each its own counts at its own time."""
    other = Host(host.url, host.state, "support_desk")
    host.count("export=2")
    other.count("ticket=3")
    host.heartbeat()
    other.heartbeat()
    first, second = (request.beacon for request in collector.requests)
    assert first["install_id"] == second["install_id"]
    assert first["features"] == {"export": 2}
    assert second["features"] == {"ticket": 3}


@pytest.mark.parametrize("ini", [(), ("-d", "opcache.enable_cli=1")], ids=["plain", "opcache"])
def test_two_copies_of_the_file_get_along(host: Host, tmp_path: Path, ini: tuple[str, ...]) -> None:
    """Two modules that each ship this file can run in one request."""
    copy = tmp_path / "Pharos.php"
    copy.write_text((SDK / "Pharos.php").read_text())
    code = f"require_once {str(copy)!r}; echo json_encode($client->heartbeat()->status());"
    assert host.script(code, ini=ini) == "sent"


def test_the_install_can_name_itself(host: Host, collector: Collector) -> None:
    """The install id that proves the install's rights is the one in its beacons, and null before the first."""
    said = host.script(
        "$before = $client->installId(); $client->heartbeat(); echo json_encode([$before, $client->installId()]);"
    )
    assert said == [None, collector.requests[0].beacon["install_id"]]


def test_the_web_server_seen_by_pages_is_told_by_cron(host: Host, collector: Collector) -> None:
    """A heartbeat from cron reports the web server, PHP and SAPI that the pages run on."""
    host.script("echo 0;")
    page = host.state.with_name("page.php")
    idle = host.state.with_name("script.php").read_text()
    counting = "$_SERVER['SERVER_SOFTWARE'] = 'Apache/2.4.57 (Debian)'; echo $client->count('page');"
    page.write_text(idle.replace("echo 0;", counting))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["php", "-S", f"127.0.0.1:{port}", "-t", str(page.parent)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert get(f"http://127.0.0.1:{port}/page.php") == "1"
    finally:
        server.terminate()
        server.wait(10)
    host.heartbeat()
    platform = collector.requests[0].beacon["platform"]
    assert (platform["web_server"], platform["sapi"]) == ("apache-2.4", "cli-server")


def get(url: str) -> str:
    for _ in range(100):
        try:
            with urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except ConnectionError:
            time.sleep(0.05)
        except OSError as error:
            if not isinstance(getattr(error, "reason", None), ConnectionError):
                raise
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.parametrize(
    ("software", "known"),
    [
        ("Apache/2.4.57 (Debian) OpenSSL/3.0", "apache-2.4"),
        ("nginx/1.22.1", "nginx-1.22"),
        ("LiteSpeed", "litespeed"),
        ("Microsoft-IIS/10.0", "microsoft-iis-10.0"),
        ("<script>", None),
        ("", None),
    ],
)
def test_the_web_server_is_named_by_its_minor_version(
    host: Host, collector: Collector, software: str, known: str | None
) -> None:
    """SERVER_SOFTWARE is cut to the name and the minor version, or left out."""
    host.script(f"$_SERVER['SERVER_SOFTWARE'] = {software!r}; echo json_encode($client->heartbeat());")
    assert collector.requests[0].beacon["platform"].get("web_server") == known


def test_the_file_is_written_for_php_7_4() -> None:
    """Nothing in the client is newer than PHP 7.4, as far as words can tell."""
    text = (SDK / "Pharos.php").read_text() + (SDK / "example.php").read_text()
    newer = r"\bmatch \(|\?->|\breadonly\b|\benum\b|str_(contains|starts_with)|\): (mixed|static|never)\b|^\s*#\["
    assert re.findall(newer, text, re.MULTILINE) == []
    assert re.findall(r",\s*\)\s*(?::|\{)", text) == []  # a comma after the last parameter
