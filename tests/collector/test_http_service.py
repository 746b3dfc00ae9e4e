"""The running collector beside beacons: limits, proxies, health, metrics, descriptions, and shutdown."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.openapi import document
from collector.server import counters_folder
from collector.validate import Reason
from core.credentials import CACHE_SECONDS, NEW_SECONDS
from core.fields import json_schema
from core.home import Home
from core.settings import Settings
from tests.collector.abuse import parsed
from tests.collector.json_schema import satisfies
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon
from tests.end_to_end.system import wait_for
from tests.pharos_cli.command import pharos

LIMIT = 10


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector behind one trusted proxy, with 10 beacons per minute and key."""
    home = tmp_path_factory.mktemp("limited") / "home"
    settings = {"PHAROS_INGEST_KEY": KEY, "PHAROS_RATE_LIMIT": str(LIMIT), "PHAROS_TRUSTED_PROXIES": "1"}
    with Collector(home, **settings) as collector:
        yield collector


def new_minute() -> None:
    """Wait until enough of the current minute is left for a test."""
    if time.time() % 60 > 50:
        time.sleep(60.1 - time.time() % 60)


def new_key(collector: Collector) -> str:
    """Create an ingest key. Both workers know it: of keys that are unknown, each reads the file so often at most."""
    key = pharos(collector.home, "keys", "new").stdout.strip()
    time.sleep(NEW_SECONDS)
    return key


def test_a_key_over_its_limit_waits(limited: Collector) -> None:
    """Over its limit a key gets a 429 with the seconds until the next minute. Other keys are not affected."""
    key, other = new_key(limited), new_key(limited)
    new_minute()
    assert limited.post([beacon() for _ in range(LIMIT - 1)], key=key).status == 202
    late = [beacon(), beacon()]
    refused = limited.post(late, key=key)
    assert refused.why == (429, "rate_limited", "")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert limited.post(late[0], key=key).json["accepted"] == 1
    assert limited.post(late[1], key=key).status == 429
    assert limited.post(late[1], key=other).json["accepted"] == 1


def test_two_workers_share_the_limit(limited: Collector) -> None:
    """Of 40 simultaneous beacons exactly the limit is stored, whichever workers receive them."""
    key = new_key(limited)
    new_minute()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: limited.post(beacon(), key=key), range(40)))
    assert sorted(answer.status for answer in answers) == [202] * LIMIT + [429] * (40 - LIMIT)


def test_check_counts_against_no_limit(limited: Collector) -> None:
    """`/check` does not count against the limit."""
    body = [beacon() for _ in range(LIMIT + 1)]
    assert limited.post(body, path="/v1/beacons/check").status == 200


def seen_as(collector: Collector, forwarded: str | None) -> Any:
    headers = {"X_Forwarded_For": forwarded} if forwarded is not None else {}
    answer = collector.post(beacon(), path="/v1/beacons/check", **headers)
    return answer.json["beacons"][0]["license"]["ip"]


@pytest.mark.parametrize("forwarded", [None, "198.51.100.9", "198.51.100.9, 192.0.2.1", "", "nonsense"])
def test_without_a_proxy_nobody_is_believed(live: Collector, forwarded: str | None) -> None:
    """Without trusted proxies the connection's address is stored, whatever a client claims."""
    assert seen_as(live, forwarded) == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, "127.0.0.1"),
        ("198.51.100.9", "198.51.100.9"),
        ("192.0.2.1, 198.51.100.9", "198.51.100.9"),
        ("203.0.113.1,192.0.2.1,198.51.100.9", "198.51.100.9"),
        ("2001:DB8::0001", "2001:db8::1"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("198.51.100.9:51234", "198.51.100.9"),
        ("192.0.2.1:1, 198.51.100.9:51234", "198.51.100.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("2001:db8::1%eth0", "2001:db8::1"),
        ("198.51.100.9, nonsense", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_one_proxy_is_believed_for_what_it_added(limited: Collector, forwarded: str | None, address: str) -> None:
    """With one trusted proxy the last entry of X-Forwarded-For is the address."""
    assert seen_as(limited, forwarded) == address


@pytest.mark.parametrize(("path", "status"), [("/healthz", "ok"), ("/readyz", "ready")])
def test_it_is_well(live: Collector, path: str, status: str) -> None:
    """Health and readiness need no key."""
    answer = live.request("GET", path)
    assert (answer.status, answer.json["status"]) == (200, status)
    assert live.request("HEAD", path).status == 200


def test_the_schema_is_published(live: Collector) -> None:
    """The JSON Schema is that of the field table, and a valid beacon satisfies it."""
    answer = live.request("GET", "/v1/schema.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/schema+json")
    assert answer.json == json_schema()
    assert satisfies(beacon(), answer.json)
    assert not satisfies(beacon({"email": 1}), answer.json)


def test_the_description_is_published(live: Collector) -> None:
    """The OpenAPI document contains every path and every reason."""
    answer = live.request("GET", "/openapi.json")
    assert answer.json == msgspec.json.decode(msgspec.json.encode(document()))
    assert {"/v1/beacons", "/v1/beacons/check", "/metrics"} <= set(answer.json["paths"])
    reasons = answer.json["components"]["schemas"]["Problem"]["properties"]["reason"]["enum"]
    assert set(reasons) == {str(reason) for reason in Reason}


@pytest.mark.parametrize("path", ["/healthz", "/v1/schema.json", "/nothing"])
def test_nothing_is_cached_or_guessed(live: Collector, path: str) -> None:
    """Every response forbids caching and content sniffing."""
    answer = live.request("GET", path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def metric(collector: Collector, name: str) -> float:
    lines = collector.request("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_metrics_count_what_became_of_beacons(live: Collector) -> None:
    """Metrics count accepted, duplicate, rejected and skewed beacons of all workers, and the spool."""
    names = {
        'pharos_beacons_total{outcome="accepted"': 2.0,
        'pharos_beacons_total{outcome="duplicate"': 1.0,
        'pharos_beacons_total{outcome="rejected",reason="bad_format"}': 1.0,
        'pharos_beacons_accepted_by_reason_total{reason="upgrade"}': 1.0,
        "pharos_beacons_clock_skewed_total": 1.0,
        'pharos_requests_refused_total{reason="malformed_json"}': 1.0,
        "pharos_spool_beacons": 2.0,
    }
    before = {name: metric(live, name) for name in names}
    one = beacon({"reason": "upgrade"})
    live.post([one, one, beacon({"reason": "because"}), beacon({"sent_at": "2001-01-01T00:00:00Z"})])
    live.post(b"NaN")
    assert {name: metric(live, name) - before[name] for name in names} == names


def test_metrics_name_nobody(live: Collector) -> None:
    """Metrics contain no id, key or address."""
    sent = beacon()
    live.post(sent)
    text = live.request("GET", "/metrics").body.decode()
    assert not [secret for secret in (sent["install_id"], sent["beacon_id"], KEY, "203.0.113.9") if secret in text]


def test_metrics_are_for_loopback_or_an_admin(live: Collector) -> None:
    """Behind a proxy, even on this machine, metrics need an admin token."""
    admin, product = (
        pharos(live.home, "tokens", "new", "--role", role).stdout.strip() for role in ("admin", "product")
    )

    def status(**headers: str) -> int:
        return live.request("GET", "/metrics", headers={n.replace("_", "-"): v for n, v in headers.items()}).status

    assert status() == 200
    for proxied in ({"X_Forwarded_For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"X_Forwarded_For": ""}):
        assert status(**proxied) == 401
        assert status(**proxied, Authorization=f"Bearer {product}") == 401
        assert status(**proxied, Authorization=f"Bearer {KEY}") == 401
        assert status(**proxied, Authorization="Bearer nobody") == 401
        assert status(**proxied, Authorization=f"Bearer {admin}") == 200


def test_metrics_have_a_token_of_their_own(tmp_path: Path) -> None:
    """The token of the settings reads the metrics through a proxy, and nothing else."""
    proxied: dict[str, str | None] = {"X-Forwarded-For": "192.0.2.1"}
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY, PHAROS_METRICS_TOKEN="scrape" * 4) as collector:
        for token, status in (("scrape" * 4, 200), ("scrape" * 3, 401), ("", 401)):
            headers = proxied | {"Authorization": f"Bearer {token}"}
            assert collector.request("GET", "/metrics", headers=headers).status == status
        headers = proxied | {"Authorization": f"Bearer {'scrape' * 4}"}
        assert set(collector.request("GET", "/readyz", headers=headers).json) == {"status"}
        assert collector.post(beacon(), key="scrape" * 4).status == 401


def test_a_revoked_key_is_refused(live: Collector) -> None:
    """A revoked key is refused after a second."""
    key = new_key(live)
    assert live.post(beacon(), key=key).status == 202
    last = pharos(live.home, "keys", "list").stdout.splitlines()
    (id,) = {line.split()[0] for line in last} - _first_ids(live, key)
    assert pharos(live.home, "keys", "revoke", id).returncode == 0
    time.sleep(CACHE_SECONDS + 0.2)
    assert live.post(beacon(), key=key).why == (401, "unauthorized", "")
    assert live.post(beacon()).status == 202


def _first_ids(live: Collector, key: str) -> set[str]:
    """Return the ids of all keys except this one."""
    from core.credentials import Credentials

    known = Credentials(live.home / "credentials.sqlite")
    presented = known.key(key)
    assert presented is not None
    return {each.id for each in known.keys()} - {presented.id}


def test_it_stops_cleanly_and_loses_nothing(tmp_path: Path) -> None:
    """After SIGTERM under load the exit status is 0, and each accepted beacon is on disk once."""
    accepted: list[str] = []
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY) as collector, ThreadPoolExecutor(8) as pool:

        def post_until_it_is_gone(_: int) -> None:
            try:
                while collector.post(sent := beacon()).status == 202:
                    accepted.append(sent["beacon_id"])
            except (AssertionError, OSError, http.client.HTTPException):
                return  # 503 while stopping, then nobody there

        posting = pool.map(post_until_it_is_gone, range(8))
        while len(accepted) < 200:
            time.sleep(0.01)
        assert collector.stop() == 0
        list(posting)
    with sqlite3.connect(collector.home / "spool.sqlite") as db:
        usage = [json.loads(row)["beacon"] for (row,) in db.execute("SELECT usage FROM beacons")]
    db.close()
    assert len(usage) == len(set(usage)) >= len(accepted) >= 200


def _refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=20).close()
    except ConnectionResetError:  # it came while the port was closed
        return False
    except ConnectionRefusedError:
        return True
    return False


def test_a_collector_that_stops_says_so(tmp_path: Path) -> None:
    """While it ends a request after SIGTERM, `/readyz` on an open connection is a 503, and a new one is refused."""
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY, PHAROS_COLLECTOR_WORKERS="1") as collector:
        address = ("127.0.0.1", collector.port)
        kept = http.client.HTTPConnection(*address, timeout=60)
        with socket.create_connection(address, timeout=60) as slow, ThreadPoolExecutor(1) as pool:
            slow.sendall(b"POST /v1/beacons HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
            assert slow.recv(100).startswith(b"HTTP/1.1 100")
            answer = _ready(kept)
            stopped = pool.submit(collector.stop)
            while answer.status == 200:  # without a pause: where nothing is asked, it is closed after two seconds
                answer = _ready(kept)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
            assert b"the collector is stopping" in answer.read()
            wait_for(lambda: _refuses(address), "new connections to be refused")
            slow.sendall(b"{        ")
            assert slow.recv(100).startswith(b"HTTP/1.1 4")
        assert stopped.result(60) == 0


def _ready(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """Return the answer at `/readyz`. A 200 is read, so that the next question can follow."""
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    if answer.status == 200:
        answer.read()
    return answer


def test_counters_begin_anew_and_leave_nothing_behind(tmp_path: Path) -> None:
    """A collector removes the counters of a killed one, and its own when it stops."""
    home = tmp_path / "home"
    refused = "pharos_requests_refused_total"
    folder = counters_folder(Settings(), Home(home))
    killed = Collector(home, PHAROS_INGEST_KEY=KEY).__enter__()
    killed.post(b"NaN")
    assert metric(killed, refused) == 1
    for process in killed.processes():
        os.kill(process, signal.SIGKILL)
    assert killed.stop() == -signal.SIGKILL
    assert folder.is_dir()
    with Collector(home) as again:
        assert metric(again, refused) == 0
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_the_home_is_for_us_alone(live: Collector) -> None:
    """The home has mode 0700; spool, credentials and secret have mode 0600."""
    assert stat.S_IMODE(live.home.stat().st_mode) == 0o700
    for name in ("spool.sqlite", "spool.sqlite-wal", "credentials.sqlite", "secret"):
        assert stat.S_IMODE((live.home / name).stat().st_mode) == 0o600


def test_a_refused_request_is_found_in_the_log_by_its_id(live: Collector) -> None:
    """The request id of a response is in one log line with status and reason, without data of the request."""
    answer = live.post(beacon({"email": "jane@example.com"}))
    id = answer.headers["x-request-id"]
    (line,) = [json.loads(line) for line in live.log.read_text().splitlines() if id in line]
    assert (line["status"], line["reason"], line["message"]) == (422, "unknown_field", "refused: 422 unknown_field")
    assert "jane" not in live.log.read_text()
    assert live.post(beacon()).headers["x-request-id"] != id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module": {"name": "invoice_pro", "version": "x y"}}, "refused: 422 bad_format: module.version"),
        ({"features": {"jane": "x"}}, "refused: 422 wrong_type"),
        ({"jane_doe": 1}, "refused: 422 unknown_field"),
    ],
)
def test_the_log_names_a_field_of_a_beacon_and_no_other_name(
    live: Collector, change: dict[str, Any], message: str
) -> None:
    """A vendor finds the wrong field in the log. A name that the sender chose is not there."""
    id = live.post(beacon(change)).headers["x-request-id"]
    (line,) = [json.loads(line) for line in live.log.read_text().splitlines() if id in line]
    assert line["message"] == message
    assert "jane" not in live.log.read_text()


def test_a_request_that_is_not_http_is_found_in_the_log_by_its_id(live: Collector) -> None:
    """Its log line has its own id, not that of an earlier request of the same thread."""
    answer = parsed(live.raw(b"POST /v1/beacons HTTP/1.1\r\nHost: a\r\nContent-Length: jane\r\n\r\n"))
    assert answer is not None
    id = answer.headers["x-request-id"]
    (line,) = [json.loads(line) for line in live.log.read_text().splitlines() if id in line]
    assert line["message"] == "rejected a request: InvalidHeader"


def test_only_the_operator_is_told_what_waits(live: Collector) -> None:
    """Behind a proxy `/readyz` returns no details."""
    assert live.request("GET", "/readyz").json.keys() == {"status", "waiting"}
    assert live.request("GET", "/readyz", headers={"X-Forwarded-For": "198.51.100.1"}).json == {"status": "ready"}
