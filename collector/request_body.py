"""Reads a request's body: at most `LIMIT` bytes, compressed and uncompressed, independent of its headers.

A request uses memory for at most twice the limit: the compressed and the uncompressed body, or a small body and its
decoded value. Large bodies wait for memory before they are decoded.
"""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import IO, Any

from werkzeug.http import parse_options_header

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


@contextmanager
def read_json(environ: Mapping[str, Any]) -> Iterator[Any]:
    """Read the body of a WSGI request and yield its parsed JSON. Raises `Refused`: 400, 411, 413, 415, 503.

    Memory for a large body is reserved until the block ends.
    """
    raw = _read(environ)
    reserved = len(raw) if len(raw) > _SMALL else 0
    if reserved and not _BUDGET.take(reserved):
        raise Refused(Rejected(Reason.UNAVAILABLE, detail="too many large bodies at once"), {"Retry-After": "30"})
    sent = [raw]
    del raw
    try:
        yield _decoded(sent.pop())  # not held here: the caller decides how long the value takes memory
    finally:
        if reserved:
            _BUDGET.give_back(reserved)


def _decoded(raw: bytes) -> Any:
    try:
        return decode(raw)
    except Rejected as rejected:
        raise Refused(rejected) from None


def _read(environ: Mapping[str, Any]) -> bytes:
    """Read and uncompress the body."""
    if environ.get("CONTENT_TYPE") != "application/json":
        _check_media_type(environ.get("CONTENT_TYPE", ""))
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
    raw = _read_sent(environ["wsgi.input"], length)
    return _unpack(raw) if encoding in GZIP else raw


def _check_media_type(content_type: str) -> None:
    """Require JSON. A charset may be given if it is UTF-8."""
    media_type, parameters = parse_options_header(content_type)
    charset = parameters.get("charset", "utf-8").lower()
    if media_type.lower() != "application/json" or charset not in ("utf-8", "utf8"):
        raise Refused(
            Rejected(Reason.UNSUPPORTED_MEDIA_TYPE, detail="Content-Type must be application/json, in UTF-8"),
            {"Accept": "application/json"},
        )


def _read_sent(stream: IO[bytes], length: int | None) -> bytes:
    """Read the body as sent. Uses one call, because gunicorn copies its whole read buffer at each call."""
    try:
        raw = stream.read(LIMIT) if length is None or length <= LIMIT else b""
        size = len(raw)
        while size < _DRAIN and (length is None or size < length) and (more := len(stream.read(_CHUNK))):
            size += more
    except Exception as error:  # an error of gunicorn: broken chunks, a closed connection
        raise Refused(Rejected(Reason.BAD_REQUEST, detail="the body could not be read")) from error
    if max(size, length or 0) > LIMIT:
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


def _too_large() -> Refused:
    return Refused(Rejected(Reason.BODY_TOO_LARGE, detail=f"the body must be at most {LIMIT} bytes, also uncompressed"))
