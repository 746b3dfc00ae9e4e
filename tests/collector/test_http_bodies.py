"""How a body may come to the running collector: packed, in pieces, too large, or not at all."""

import gzip
import json
import zlib

import pytest

from tests.collector.live import KEY, Answer, Collector
from tests.collector.sample import beacon

LIMIT = 1 << 20


def one(size: int | None = None) -> bytes:
    """A beacon as JSON, filled up with blanks to `size` bytes."""
    raw = json.dumps(beacon()).encode()
    return raw if size is None else raw + b" " * (size - len(raw))


def chunked(live: Collector, body: bytes, piece: int = 50_000, **headers: str | None) -> Answer:
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    given = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
    return live.request("POST", "/v1/beacons", iter(pieces), given)


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_is_taken_in_its_spellings(live: Collector, media_type: str) -> None:
    """The media type may be written in any case and may name UTF-8."""
    assert live.post(one(), Content_Type=media_type).status == 202


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip "])
def test_a_packed_body_is_unpacked(live: Collector, encoding: str) -> None:
    """gzip is taken, in one member or in several."""
    raw = one()
    assert live.post(gzip.compress(raw), Content_Encoding=encoding).json["accepted"] == 1
    members = gzip.compress(raw[:50]) + gzip.compress(b"") + gzip.compress(raw[50:])
    assert live.post(members, Content_Encoding=encoding).json["duplicates"] == 1


def test_identity_is_no_encoding(live: Collector) -> None:
    """`Content-Encoding: identity` is a body as it is."""
    assert live.post(one(), Content_Encoding="identity").status == 202


@pytest.mark.parametrize("cut", [1, 8, 9, 40])
def test_a_truncated_gzip_is_refused(live: Collector, cut: int) -> None:
    """A packed body that lacks its end is refused, also when only the check sum is missing."""
    assert live.post(gzip.compress(one())[:-cut], Content_Encoding="gzip").why == (400, "bad_encoding", "")


@pytest.mark.parametrize("rest", [b"x", b"\0", b"\x1f\x8b", b"{}"])
def test_garbage_behind_a_gzip_is_refused(live: Collector, rest: bytes) -> None:
    """What follows the packed beacon and is no gzip makes it all refused."""
    assert live.post(gzip.compress(one()) + rest, Content_Encoding="gzip").why == (400, "bad_encoding", "")


def test_a_damaged_gzip_is_refused(live: Collector) -> None:
    """A wrong check sum, or a wrong length, is found."""
    packed = gzip.compress(one())
    for at in (-1, -5):
        damaged = bytearray(packed)
        damaged[at] ^= 1
        assert live.post(bytes(damaged), Content_Encoding="gzip").why == (400, "bad_encoding", "")


def test_what_is_packed_but_not_said_to_be_is_no_json(live: Collector) -> None:
    """A gzip body without the header is taken for JSON, and is none; so is a packed text that is none."""
    assert live.post(gzip.compress(one())).why == (400, "malformed_json", "")
    assert live.post(gzip.compress(b"hello"), Content_Encoding="gzip").why == (400, "malformed_json", "")
    assert live.post(zlib.compress(one()), Content_Encoding="gzip").why == (400, "bad_encoding", "")


@pytest.mark.parametrize("size", [LIMIT + 1, 50 * LIMIT])
def test_a_bomb_is_refused(live: Collector, size: int) -> None:
    """A small body that unpacks to more than the limit is too large, in one member or in many."""
    assert live.post(gzip.compress(b" " * size), Content_Encoding="gzip").why == (413, "body_too_large", "")
    many = gzip.compress(b" " * (size // 10 + 1)) * 10
    assert live.post(many, Content_Encoding="gzip").why == (413, "body_too_large", "")


def test_a_body_may_have_just_the_limit(live: Collector) -> None:
    """1 MiB is taken: plain, in chunks, and unpacked."""
    assert live.post(one(LIMIT)).status == 202
    assert chunked(live, one(LIMIT)).status == 202
    assert live.post(gzip.compress(one(LIMIT)), Content_Encoding="gzip").status == 202


@pytest.mark.parametrize("size", [LIMIT + 1, 3 * LIMIT])
def test_a_body_over_the_limit_is_refused(live: Collector, size: int) -> None:
    """1 MiB and a byte is too large: plain, in chunks, and packed as it comes."""
    too_large = (413, "body_too_large", "")
    assert live.post(one(size)).why == too_large
    assert chunked(live, one(size)).why == too_large
    assert live.post(b"\x1f\x8b" + b"x" * (size - 2), Content_Encoding="gzip").why == too_large


def test_a_body_in_pieces_is_taken(live: Collector) -> None:
    """A chunked body is taken without Content-Length, packed too."""
    assert chunked(live, one(), piece=7).json["accepted"] == 1
    packed = {"Content-Encoding": "gzip"}
    assert chunked(live, gzip.compress(one()), 5, **packed).json["accepted"] == 1


def head(*lines: str, path: str = "/v1/beacons") -> bytes:
    given = ["Host: localhost", f"Authorization: Bearer {KEY}", "Content-Type: application/json", *lines]
    return "\r\n".join([f"POST {path} HTTP/1.1", *given, "", ""]).encode()


def answered(live: Collector, sent: bytes) -> tuple[int, str]:
    """Status and reason of what comes back for raw bytes."""
    received = live.raw(sent)
    top, _, body = received.partition(b"\r\n\r\n")
    status = int(top.split()[1])
    assert b"Set-Cookie" not in top
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in top + b"\r\n"
    assert b"application/problem+json" in top
    document = json.loads(body)
    assert document["status"] == status
    return status, document["reason"]


@pytest.mark.parametrize("path", ["/v1/beacons", "/v1/beacons/check"])
def test_a_body_without_length_is_asked_for_one(live: Collector, path: str) -> None:
    """Neither Content-Length nor chunks: 411."""
    assert answered(live, head("Connection: close", path=path)) == (411, "length_required")


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (head("Content-Length: 100", "Connection: close") + b"{}", 400, "bad_request"),
        (head("Content-Length: x") + b"{}", 400, "bad_request"),
        (head("Content-Length: -1") + b"{}", 400, "bad_request"),
        (head("Content-Length: 2", "Content-Length: 3") + b"{}", 400, "bad_request"),
        (head("Transfer-Encoding: chunked", "Connection: close") + b"zz\r\n{}\r\n0\r\n\r\n", 400, "bad_request"),
        (head("Transfer-Encoding: chunked", "Connection: close") + b"2\r\n{", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad_request"),
        (b"hello\r\n\r\n", 400, "bad_request"),
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400, "bad_request"),
        (b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET /healthz HTTP/1.1\r\n" + b"X-Many: a\r\n" * 200 + b"\r\n", 431, "headers_too_large"),
    ],
)
def test_broken_http_is_refused(live: Collector, sent: bytes, status: int, reason: str) -> None:
    """What is no HTTP, or too much of it, is refused in the same form as the rest, never by a 500 or a hang."""
    assert answered(live, sent) == (status, reason)


def test_the_collector_outlives_garbage(live: Collector) -> None:
    """After half requests and random bytes it answers as before."""
    for sent in (
        b"",
        b"\0" * 3000,
        b"\r\n\r\n\r\n",
        b"POST /v1/bea",
        head("Content-Length: 9")[:-3],
        bytes(range(256)) * 9,
    ):
        assert not live.raw(sent).startswith(b"HTTP/1.1 5")
    assert live.post(one()).status == 202
