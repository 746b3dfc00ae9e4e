"""Read a request's body: at most `LIMIT` bytes, before and after unpacking, whatever its headers claim."""

import zlib
from typing import IO

from flask import Request

from collector.problems import Refused
from collector.validate import Reason, Rejected

LIMIT = 1 << 20
# Each member of a gzip body costs a copy of what is behind it; nobody has a reason for more than one or two.
MEMBERS = 16
# Of a body that is too large this much is still taken in, so that a client that sends before it reads gets its answer
# and not a reset connection.
_DRAIN = 4 << 20
_CHUNK = 1 << 16


def read(request: Request) -> bytes:
    """The body, unpacked. Raises `Refused`: 400, 411, 413, 415."""
    environ = request.environ
    if environ.get("CONTENT_TYPE") != "application/json":
        _check_media_type(request)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() or "identity"
    if encoding not in ("identity", "gzip"):
        raise Refused(
            Rejected(Reason.UNSUPPORTED_MEDIA_TYPE, detail="Content-Encoding must be gzip, or absent"),
            {"Accept-Encoding": "gzip"},
        )
    # gunicorn has refused what is no number; Flask's property for it costs more than the rest of this function.
    length = int(environ["CONTENT_LENGTH"]) if environ.get("CONTENT_LENGTH") else None
    if length is None and "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise Refused(Rejected(Reason.LENGTH_REQUIRED, detail="Content-Length is missing"))
    raw = _read(environ["wsgi.input"], length)
    return _unpack(raw) if encoding == "gzip" else raw


def _check_media_type(request: Request) -> None:
    """Allow a charset, if it is UTF-8, and nothing else than JSON."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise Refused(
            Rejected(Reason.UNSUPPORTED_MEDIA_TYPE, detail="Content-Type must be application/json, in UTF-8"),
            {"Accept": "application/json"},
        )


def _read(stream: IO[bytes], left: int | None) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= _DRAIN and (left is None or size < left):
        try:
            part = stream.read(_CHUNK if left is None else min(_CHUNK, left - size))
        except Exception as error:  # gunicorn's own: broken chunks, a peer that is gone
            raise Refused(Rejected(Reason.BAD_REQUEST, detail="the body could not be read")) from error
        if not part:
            break
        size += len(part)
        if size <= LIMIT:
            parts.append(part)
    if size > LIMIT:
        raise _too_large()
    if left is not None and size < left:
        raise Refused(Rejected(Reason.BAD_REQUEST, detail="the body is shorter than its Content-Length"))
    return b"".join(parts)


def _unpack(raw: bytes) -> bytes:
    """Unpack gzip, several members too (RFC 1952), and never more than the limit."""
    unpacked = b""
    try:
        for _ in range(MEMBERS):
            if not raw:
                return unpacked
            member = zlib.decompressobj(wbits=31)
            unpacked += member.decompress(raw, LIMIT + 1 - len(unpacked))
            if len(unpacked) > LIMIT:
                raise _too_large()
            if not member.eof:
                raise zlib.error("incomplete")
            raw = member.unused_data
    except zlib.error:
        raise Refused(Rejected(Reason.BAD_ENCODING, detail="the body is not valid gzip")) from None
    if raw:
        raise Refused(Rejected(Reason.BAD_ENCODING, detail=f"the body must have at most {MEMBERS} gzip members"))
    return unpacked


def _too_large() -> Refused:
    return Refused(Rejected(Reason.BODY_TOO_LARGE, detail=f"the body must be at most {LIMIT} bytes, unpacked too"))
