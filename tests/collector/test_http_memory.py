"""How much memory a worker needs for a flood of large bodies."""

import gzip
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collector.request_body import LIMIT
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon

IN_FLIGHT = 32
# What the worst body of the limit takes once decoded, measured: a list of lists. One at a time is.
DECODED = 26 * LIMIT


def filled(size: int) -> bytes:
    """Return a beacon padded with blanks."""
    return json.dumps(beacon()).encode().ljust(size)


def a_list(item: bytes) -> bytes:
    """Repeat an item up to the limit."""
    return b"[" + (item + b",") * ((LIMIT - 9) // (len(item) + 1)) + b"1]"


def an_object() -> bytes:
    """Return an object with as many fields as the limit allows."""
    return b"{" + b",".join(b'"%x":1' % number for number in range(LIMIT // 11)) + b"}"


def a_batch() -> bytes:
    """Return a batch of valid beacons just below the limit."""
    features = {f"f{number}": 1 for number in range(150)}
    return json.dumps([beacon({"features": features}) for _ in range(430)], separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "packed", "status", "decoded"),
    [
        (lambda: b" " * 50 * LIMIT, True, 413, 0),
        (lambda: filled(LIMIT), False, 202, 0),
        (lambda: filled(LIMIT), True, 202, 0),
        (lambda: os.urandom(LIMIT - 4000), True, 400, 0),
        (lambda: filled(LIMIT + 1), False, 413, 0),
        (lambda: filled(3 * LIMIT), False, 413, 0),
        (lambda: a_list(b"1"), False, 422, DECODED),
        (lambda: a_list(b"[]"), False, 422, DECODED),
        (an_object, False, 422, DECODED),
        (a_batch, False, 202, DECODED),
    ],
    ids=[
        "bombs",
        "limit",
        "limit packed",
        "noise packed",
        "limit + 1",
        "3 limits",
        "ones",
        "lists",
        "fields",
        "batches",
    ],
)
def test_a_flood_takes_at_most_twice_the_limit_for_each(
    tmp_path: Path, body: Callable[[], bytes], packed: bool, status: int, decoded: int
) -> None:
    """Each of 32 simultaneous requests takes at most twice the limit. Large bodies are decoded one at a time."""
    sent = gzip.compress(body()) if packed else body()
    encoding = {"Content_Encoding": "gzip"} if packed else {}
    settings = {"PHAROS_INGEST_KEY": KEY, "PHAROS_COLLECTOR_WORKERS": "1"}
    with Collector(tmp_path / "home", **settings) as collector, ThreadPoolExecutor(IN_FLIGHT) as pool:
        (worker,) = collector.workers()
        warm = pool.map(lambda _: collector.post(beacon()).status, range(4 * IN_FLIGHT))
        assert set(warm) == {202}
        before = memory(worker, "VmRSS")
        Path(f"/proc/{worker}/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here
        flood = pool.map(lambda _: collector.post(sent, **encoding).status, range(IN_FLIGHT))
        assert set(flood) - {503} == {status}  # 503: one that waited too long for its turn to be decoded
        assert memory(worker, "VmHWM") - before <= IN_FLIGHT * 2 * LIMIT + decoded


def memory(process: int, kind: str) -> int:
    """Return a process's memory figures of Linux, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{kind}:"))
