"""Reads a request's body: at most `LIMIT` bytes, compressed and uncompressed, independent of its headers.

A request uses memory for at most twice the limit: the compressed and the uncompressed body, or a small body and its
decoded value. Large bodies wait for memory before they are decoded.
"""

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

from flask import Request, Response, after_this_request

from collector.memory_budget import MemoryBudget
from collector.problems import Refused
from collector.validate import Reason, Rejected, decode

LIMIT = 1 << 20
GZIP = ("gzip", "x-gzip")  # equivalent (RFC 9110, 8.4.1.3)
# Each member of a gzip body costs a new decompressor. No client needs more than one or two.
MEMBERS = 16
# The number of bytes that are read of a body that is too large. A client that sends all before it reads then gets the
# answer and not a reset connection.
_DRAIN = 4 << 20
_CHUNK = 1 << 16
# A body of this size takes less than twice the limit when it is decoded.
_SMALL = 1 << 16
# With the spool's 20 seconds, still less than nginx.conf waits for an answer.
_BUDGET = MemoryBudget(LIMIT, seconds=8.0)


def read(request: Request) -> bytes:
    """Read and uncompress the body. Raises `Refused`: 400, 411, 413, 415, 503."""
    environ = request.environ
    if environ.get("CONTENT_TYPE") != "application/json":
        _check_media_type(request)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() or "identity"
    if encoding not in ("identity", *GZIP):
        raise Refused(
            Rejected(Reason.UNSUPPORTED_MEDIA_TYPE, detail="Content-Encoding must be gzip, or absent"),
            {"Accept-Encoding": "gzip"},
        )
    transfer = environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower()
    if transfer != "chunked":  # gunicorn accepts other codings before it, but does not decode them
        raise Refused(Rejected(Reason.BAD_REQUEST, detail="Transfer-Encoding must be chunked, or absent"))
    # gunicorn has rejected non-numbers. Flask's property for this costs more than the rest of this function.
    length = int(environ["CONTENT_LENGTH"]) if environ.get("CONTENT_LENGTH") else None
    if length is None and "HTTP_TRANSFER_ENCODING" not in environ:
        raise Refused(Rejected(Reason.LENGTH_REQUIRED, detail="Content-Length is missing"))
    raw = _read(environ["wsgi.input"], length)
    body = _unpack(raw) if encoding in GZIP else raw
    if len(body) > _SMALL:
        _reserve(len(body))
    return body


def read_json(request: Request) -> Any:
    """Read the body and parse its JSON. Raises `Refused`, like `read`, and for invalid JSON."""
    raw = read(request)
    try:
        return decode(raw)
    except Rejected as rejected:
        raise Refused(rejected) from None


def _check_media_type(request: Request) -> None:
    """Require JSON. A charset may be given if it is UTF-8."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise Refused(
            Rejected(Reason.UNSUPPORTED_MEDIA_TYPE, detail="Content-Type must be application/json, in UTF-8"),
            {"Accept": "application/json"},
        )


def _read(stream: IO[bytes], length: int | None) -> bytes:
    """Read the body as sent. Uses one call, because gunicorn copies its whole read buffer at each call."""
    try:
        raw = stream.read(LIMIT) if length is None or length <= LIMIT else b""
        size = len(raw)
        while size < _DRAIN and (length is None or size < length) and (more := len(stream.read(_CHUNK))):
            size += more
    except Exception as error:  # an error of gunicorn: broken chunks, a closed connection
        raise Refused(Rejected(Reason.BAD_REQUEST, detail="the body could not be read")) from error
    if size > LIMIT:
        raise _too_large()
    if length is not None and size < length:
        raise Refused(Rejected(Reason.BAD_REQUEST, detail="the body is shorter than its Content-Length"))
    return raw


def _unpack(raw: bytes) -> bytes:
    unpacked = BytesIO()
    try:
        for part in _parts(raw):
            unpacked.write(part)
            if unpacked.tell() > LIMIT:
                raise _too_large()
    except zlib.error:
        raise Refused(Rejected(Reason.BAD_ENCODING, detail="the body is not valid gzip")) from None
    return unpacked.getvalue()


def _parts(raw: bytes) -> Iterator[bytes]:
    """Uncompress the gzip members (RFC 1952) piece by piece, because zlib holds its result in memory twice."""
    rest = memoryview(raw)
    for _ in range(MEMBERS):
        if not rest:
            return
        member = zlib.decompressobj(wbits=31)
        given: bytes | memoryview = b""
        while not member.eof:
            if not given:
                given, rest = rest[:_CHUNK], rest[_CHUNK:]
            part = member.decompress(given, _CHUNK)
            given = member.unconsumed_tail
            if not (part or given or rest or member.eof):
                raise zlib.error("incomplete")
            yield part
        rest = memoryview(raw)[len(raw) - len(rest) - len(member.unused_data) :]
    if rest:
        raise Refused(Rejected(Reason.BAD_ENCODING, detail=f"the body must have at most {MEMBERS} gzip members"))


def _reserve(size: int) -> None:
    """Wait for memory to decode a large body, until the end of the request. Raises `Refused`: 503."""
    if not _BUDGET.take(size):
        raise Refused(Rejected(Reason.UNAVAILABLE, detail="too many large bodies at once"), {"Retry-After": "30"})

    @after_this_request
    def give_back(response: Response) -> Response:
        _BUDGET.give_back(size)
        return response


def _too_large() -> Refused:
    return Refused(Rejected(Reason.BODY_TOO_LARGE, detail=f"the body must be at most {LIMIT} bytes, also uncompressed"))
