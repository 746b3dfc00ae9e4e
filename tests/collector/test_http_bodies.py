"""Accepted encodings of a body: compressed and chunked. Rejected ones are in `tests/cases/requests.json`."""

import gzip
import json

import pytest

from collector.request_body import LIMIT
from tests.collector import abuse
from tests.collector.live import KEY, Answer, Collector
from tests.collector.sample import beacon


def one() -> bytes:
    """Return a beacon as JSON."""
    return json.dumps(beacon()).encode()


def chunked(live: Collector, body: bytes, piece: int, **headers: str | None) -> Answer:
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    given = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
    return live.request("POST", "/v1/beacons", iter(pieces), given)


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_is_taken_in_its_spellings(live: Collector, media_type: str) -> None:
    """The media type is accepted in any case and with a charset of UTF-8."""
    assert live.post(one(), Content_Type=media_type).status == 202


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip ", "x-gzip", "X-GZip"])
def test_a_packed_body_is_unpacked(live: Collector, encoding: str) -> None:
    """gzip is accepted with one or several members."""
    raw = one()
    assert live.post(gzip.compress(raw), Content_Encoding=encoding).json["accepted"] == 1
    members = gzip.compress(raw[:50]) + gzip.compress(b"") + gzip.compress(raw[50:])
    assert live.post(members, Content_Encoding=encoding).json["duplicates"] == 1


def test_identity_is_no_encoding(live: Collector) -> None:
    """`Content-Encoding: identity` is accepted."""
    assert live.post(one(), Content_Encoding="identity").status == 202


def test_a_body_in_pieces_is_taken(live: Collector) -> None:
    """A chunked body without Content-Length is accepted, also compressed."""
    assert chunked(live, one(), piece=7).json["accepted"] == 1
    packed = {"Content-Encoding": "gzip"}
    assert chunked(live, gzip.compress(one()), 5, **packed).json["accepted"] == 1


def test_a_body_that_is_announced_as_too_large_is(live: Collector) -> None:
    """The announced length is enough, however few bytes come."""
    sent = f"{abuse.HEAD}Content-Length: {LIMIT + 1}\r\n\r\n".encode()
    assert live.raw(sent).startswith(b"HTTP/1.1 413")


def test_the_collector_outlives_garbage(live: Collector) -> None:
    """The collector works after incomplete requests and random bytes."""
    for sent in (
        b"",
        b"\0" * 3000,
        b"\r\n\r\n\r\n",
        b"POST /v1/bea",
        f"{abuse.HEAD}Content-Length: 9\r".encode(),
        bytes(range(256)) * 9,
    ):
        assert not live.raw(sent).startswith(b"HTTP/1.1 5")
    assert live.post(one()).status == 202


def test_what_php_sends_is_stored_as_the_format_has_it(live: Collector) -> None:
    """Empty arrays, mapped addresses, whole floats and a byte order mark are stored in canonical form."""
    sent = beacon({"features": {"a": 2.0}, "platform": [], "server": {"public_ip": "::ffff:203.0.113.9"}})
    answer = live.post(b"\xef\xbb\xbf" + json.dumps(sent).encode(), path="/v1/beacons/check")
    assert answer.status == 200, answer
    (stored,) = answer.json["beacons"]
    assert repr(stored["usage"]["features"]) == "{'a': 2}"
    assert (stored["usage"]["php"], stored["license"]["ip_claim"]) == ("", "203.0.113.9")
    sent = beacon({"features": [], "server": [], "consent": []})
    assert live.post(sent).json["accepted"] == 1
