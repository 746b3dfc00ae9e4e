"""The other part of a mixed load: read API, checks, bad requests, pages and health checks, with their expected
statuses."""

import json
import random
import urllib.error
import urllib.request
from collections import Counter
from http.client import HTTPException

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import KEY, System
from tests.faults.background import Background

READERS = 2
PAUSE_SECONDS = 0.3  # of each, on average

# Path on the dashboard, and whether a token goes along.
_READS = (
    ("/api/v1/metrics/installs", True),
    ("/api/v1/metrics/installs?by=version&grain=week", True),
    ("/api/v1/metrics/installs?by=license_source&grain=period", True),
    ("/api/v1/metrics/feature_uses?module=invoice_pro", True),
    ("/api/v1/metrics/feature_installs?grain=month", True),
    ("/api/v1/licensing/installs?limit=200&status=unlicensed", True),
    ("/api/v1/licensing/flags", True),
    ("/login", False),
    ("/readyz", False),
)
# Path on the collector, body (None: GET), headers beside the usual ones, status.
_JSON = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
_POSTS: tuple[tuple[str, bytes | None, dict[str, str], int], ...] = (
    ("/v1/beacons/check", b"", {}, 200),
    ("/v1/beacons", b'{"schema": 1,', {}, 400),
    ("/v1/beacons", b"not gzip", {"Content-Encoding": "gzip"}, 400),
    ("/v1/beacons", b"{}", {"Authorization": "Bearer nobody"}, 401),
    ("/v1/beacons", b" " * ((1 << 20) + 1), {}, 413),
    ("/v1/beacons", b"{}", {"Content-Type": "text/plain"}, 415),
    ("/v1/beacons", b'{"schema": 1, "name": "someone"}', {}, 422),
    ("/v1/nothing", None, {}, 404),
    ("/v1/schema.json", None, {}, 200),
    ("/metrics", None, {}, 200),
    ("/readyz", None, {}, 200),
)


class Readers(Background):
    """Threads that send random requests until stopped, and count right, 503, missing and wrong responses."""

    def __init__(self, system: System, seed: object) -> None:
        super().__init__(f"{seed} reader {n}" for n in range(READERS))
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._system = system
        token = system.run("tokens", "new", "--role", "admin").stdout.decode().strip()
        self._token = {"Authorization": f"Bearer {token}"}

    def _run(self, seed: str) -> None:
        rng = random.Random(seed)
        self._stop.wait(1.5)  # a running system knows a new token a second later
        while not self._stop.wait(rng.expovariate(1 / PAUSE_SECONDS)):
            request, right = self._read(rng) if rng.random() < 0.5 else self._post(rng)
            status = _status(request)
            with self._lock:
                if status not in (0, 503, right):
                    self.wrong.append(f"{request.get_method()} {request.full_url}: {status}, not {right}")
                self.answers["no answer" if status == 0 else "503" if status == 503 else "right"] += 1

    def _read(self, rng: random.Random) -> tuple[urllib.request.Request, int]:
        path, with_token = rng.choice(_READS)
        return urllib.request.Request(self._system.dashboard + path, headers=self._token if with_token else {}), 200

    def _post(self, rng: random.Random) -> tuple[urllib.request.Request, int]:
        path, body, headers, status = rng.choice(_POSTS)
        if path.endswith("/check"):
            body = json.dumps([beacon() for _ in range(rng.randint(1, 20))]).encode()
        return urllib.request.Request(self._system.collector + path, body, _JSON | headers), status


def _status(request: urllib.request.Request) -> int:
    """Return the status, or 0 without a response."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, HTTPException):
        return 0
