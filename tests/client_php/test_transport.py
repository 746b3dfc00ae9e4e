"""A collector that is down, silent, slow, false or redirects: the PHP client returns in time, by curl or streams."""

import json
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pharos import sdk
from tests.client_php.outages import blackhole, closed_port
from tests.client_php.paper import KEY, Collector, Host, accepted

CURL: tuple[str, ...] = ()
STREAMS = ("-d", "disable_functions=curl_exec")


@pytest.fixture(params=[CURL, STREAMS], ids=["curl", "streams"])
def ini(request: pytest.FixtureRequest) -> tuple[str, ...]:
    value: tuple[str, ...] = request.param
    return value


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "dripping"])
def test_a_collector_that_hangs_costs_three_seconds_at_most(
    host: Host, collector: Collector, drip: bool, ini: tuple[str, ...]
) -> None:
    """A collector that never finishes its answer holds the cron for less than three seconds."""
    collector.hold, collector.drip = (0, True) if drip else (60, False)
    started = time.monotonic()
    answer = host.tick(ini=ini)
    assert time.monotonic() - started < 20  # three in quiet; the collector would hold it for 60
    assert (answer["status"], answer["reason"]) == ("failed", "timeout")


def test_a_collector_that_does_not_accept_costs_a_second(host: Host, ini: tuple[str, ...]) -> None:
    """A connection that is never made is given up after a second."""
    with blackhole() as host.url:
        started = time.monotonic()
        answer = host.tick(ini=ini)
        assert time.monotonic() - started < 10  # one in quiet; the kernel gives up after 130
    assert (answer["status"], answer["reason"]) == ("failed", "timeout")


def in_a_network_of_its_own(code: str, host: Host, *arguments: str) -> Any:
    """Return the JSON that Python code prints where 127.0.0.1 is the only name server; `asked` are its questions."""
    (host.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    prepare = f"ip link set lo up && mount --bind {host.folder}/resolv.conf /etc/resolv.conf"
    own = ["unshare", "--net", "--mount", "sh", "-c"]
    try:
        possible = subprocess.run([*own, prepare], capture_output=True).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("no network of its own can be made here")
    opening = (
        "import json, socket, subprocess, sys, threading, time, urllib.request\n"
        "server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nserver.bind(('127.0.0.1', 53))\n"
    )
    command = [*own, f'{prepare} && exec "$@"', "sh", sys.executable, "-c", opening + code, *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)


def test_a_silent_name_server_is_asked_once(host: Host, ini: tuple[str, ...]) -> None:
    """A name server that never answers gets one question for each kind of address."""
    host.url = "https://telemetry.example.com"
    script = host.script("echo json_encode($client->tick());")
    code = (
        "said = json.loads(subprocess.check_output(sys.argv[1:]))\nserver.setblocking(False)\nasked = []\n"
        "try:\n    while True:\n        asked.append(server.recv(512)[-4:].hex())\n"
        "except BlockingIOError:\n    print(json.dumps([said['status'], asked]))\n"
    )
    status, asked = in_a_network_of_its_own(code, host, "php", *ini, str(script))
    assert status == "failed"
    assert sorted(asked) == ["00010001", "001c0001"]  # A and AAAA


def test_a_process_of_the_web_server_looks_names_up_as_before(host: Host, ini: tuple[str, ...]) -> None:
    """After a request of the client the host's own look-ups ask a name server that fails as often as without it."""
    host.url = "https://telemetry.example.com"
    theirs = "gethostbyname('theirs.example.com'); echo 1;"
    script = host.script(f"isset($_GET['own']) && $client->tick(); {theirs}")
    code = (
        "asked = []\n"
        "def fail():\n    while True:\n        question, at = server.recvfrom(512)\n        asked.append(question)\n"
        "        server.sendto(question[:2] + b'\\x81\\x82' + question[4:], at)\n"
        "threading.Thread(target=fail, daemon=True).start()\n"
        "def theirs(query):\n    asked.clear()\n"
        "    web = subprocess.Popen([*sys.argv[1:-1], '-S', '127.0.0.1:80', sys.argv[-1]], stderr=subprocess.DEVNULL)\n"
        "    try:\n        while socket.socket().connect_ex(('127.0.0.1', 80)):\n            time.sleep(0.02)\n"
        "        urllib.request.urlopen('http://127.0.0.1/' + query).read()\n"
        "    finally:\n        web.terminate()\n        web.wait()\n"
        "    return [sum(name in each for each in asked) for name in (b'theirs', b'telemetry')]\n"
        "print(json.dumps([theirs(''), theirs('?own=1')]))\n"
    )
    without, beside = in_a_network_of_its_own(code, host, "php", *ini, str(script))
    assert without[1] == 0 < beside[1]
    assert beside[0] == without[0] > 0


def test_a_refused_connection_is_a_failure(host: Host, ini: tuple[str, ...]) -> None:
    """A collector that is down is a failure with a reason, and the beacon is kept."""
    host.url = closed_port()
    answer = host.tick(ini=ini)
    assert (answer["status"], answer["reason"]) == ("failed", "unreachable")
    assert len(host.kept()["queue"]) == 1


def test_redirects_are_not_followed(host: Host, collector: Collector, ini: tuple[str, ...]) -> None:
    """A redirect is a failure: the key and the install id go to no other address."""
    collector.will_answer(302, Location=f"{collector.url}/elsewhere")
    assert host.tick(ini=ini)["reason"] == "http_302"
    assert len(collector.requests) == 1


@pytest.mark.parametrize("body", ["<html>", "x" * 300_000], ids=["page", "flood"])
def test_junk_is_a_failure(host: Host, collector: Collector, ini: tuple[str, ...], body: str) -> None:
    """A 202 with anything else than the collector's JSON is not `sent`."""
    collector.will_answer(202, body)
    answer = host.tick(ini=ini)
    assert (answer["status"], answer["reason"]) == ("failed", "bad_answer")


def test_streams_send_the_same_request(host: Host, collector: Collector) -> None:
    """Without curl the beacon goes out by PHP's streams, with the same headers that matter."""
    collector.will_answer(202, accepted(600))
    assert host.tick(ini=STREAMS)["status"] == "sent"
    headers = collector.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"


def test_a_certificate_must_be_right(host: Host, tmp_path: Path, ini: tuple[str, ...]) -> None:
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
        assert host.tick(ini=ini)["reason"] == "tls"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "url",
    ["http://telemetry.example.com", "http://127.0.0.1.example.com", "http://localhost@example.com", "ftp://x", "x y"],
)
def test_secrets_do_not_travel_in_the_clear(host: Host, url: str) -> None:
    """An address that is neither https nor this machine makes no file, and a file changed by hand sends nothing."""
    with pytest.raises(sdk.SdkError):
        sdk.php("Acme", url, KEY)
    edited = host.client.read_text().replace(host.url, url)
    host.client.write_text(edited + f"\n// {host.url}\n")
    answer = host.tick()
    assert (answer["status"], answer["reason"]) == ("failed", "bad_collector")


def test_without_any_transport_it_says_so(host: Host) -> None:
    """Where curl and streams are disabled the result names the fault, and counts are kept."""
    ini = ("-d", "disable_functions=curl_exec,stream_socket_client")
    answer = host.tick(ini=ini)
    assert (answer["status"], answer["reason"]) == ("failed", "no_transport")
