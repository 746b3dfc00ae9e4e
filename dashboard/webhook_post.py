"""One signed request to the webhook's receiver (Standard Webhooks 1.0). It ends, however slow the receiver is."""

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import urlsplit

SECONDS = 15.0
PREFIX = "whsec_"


class NoAnswer(Exception):
    """The receiver did not answer in time, or not at all. The message says why, without the address."""


def key_of(secret: str) -> bytes:
    """Return the key in a `whsec_…` secret."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a request. It covers the time, so that an old request cannot be sent again later."""
    signed = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def post(url: str, key: bytes, id: str, body: bytes, timestamp: int, seconds: float = SECONDS) -> int:
    """Send an event; return the status of the answer. Raises `NoAnswer`. Redirects are not followed."""
    parts = urlsplit(url)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Pharos",
        "Connection": "close",
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(key, id, timestamp, body),
    }
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=seconds, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
    end = threading.Event()
    timer: threading.Timer | None = None
    try:
        connection.connect()
        plug = connection.sock

        def cut() -> None:
            end.set()
            with suppress(OSError):
                socket.socket.shutdown(plug, socket.SHUT_RDWR)

        # A timeout of the socket ends only a pause. A receiver that drips has none.
        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = end.is_set() or isinstance(error, TimeoutError)
        why = f"no answer within {seconds:g} seconds" if late else f"no answer ({type(error).__name__})"
        raise NoAnswer(why) from error
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()
