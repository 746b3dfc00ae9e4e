"""The gunicorn worker of collector and dashboard: limits the time of a request, and answers bad ones with a problem."""

import contextlib
import ctypes
import socket
import threading
import time
from typing import Any

import msgspec
from gunicorn.http import errors
from gunicorn.http.unreader import SocketUnreader

from core import logs
from core.http_server import Worker

# Far more threads than run simultaneously: a slow client holds one for up to `REQUEST_SECONDS`.
THREADS = 256
REQUEST_SECONDS = 10.0
CLOSE_SECONDS = 2.0
_M_MMAP_THRESHOLD = -3  # in malloc.h

# Errors that gunicorn detects before the application sees a request: status, title, reason.
_REFUSALS: dict[type[Exception], tuple[int, str, str]] = {
    errors.LimitRequestLine: (414, "URI Too Long", "uri_too_long"),
    errors.ExpectationFailed: (417, "Expectation Failed", "expectation_failed"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large", "headers_too_large"),
}
_BAD_REQUEST = 400, "Bad Request", "bad_request"


class TimeLimitedWorker(Worker):
    """A gthread worker in which a whole request must arrive within `REQUEST_SECONDS`. No log line quotes a request.

    gunicorn itself has no time limit for the pieces of a request.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: dict[Any, float] = {}

    def init_process(self) -> None:
        """Start the thread that ends slow requests, then serve."""
        _keep_memory_low()
        threading.Thread(target=self._end_slow, name="slow-requests", daemon=True).start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Handle a request within its time limit."""
        self._reading[conn] = time.monotonic()
        try:
            result = super().handle(conn)
            if result is False:
                _await_close(conn.sock)
            return result
        finally:
            del self._reading[conn]

    def _end_slow(self) -> None:
        while True:
            time.sleep(1)
            late = time.monotonic() - REQUEST_SECONDS
            for conn, began in list(self._reading.items()):
                if began < late:
                    # This ends reading. A response in progress is still sent.
                    with contextlib.suppress(OSError):
                        conn.sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Respond to a request that could not be read. gunicorn's own response is HTML and may be a 500."""
        id = logs.new_request()
        status, title, reason = _REFUSALS.get(type(exc), _BAD_REQUEST)
        detail = "the request is not valid HTTP, or is too long"
        body = msgspec.json.encode(
            {"type": "about:blank", "title": title, "status": status, "reason": reason, "path": "", "detail": detail}
        )
        self.log.info("rejected a request: %s", type(exc).__name__)
        head = (
            f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
            f"{logs.HEADER}: {id}\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            self.log.debug("the client is gone")


def _await_close(sock: socket.socket) -> None:
    """Give the client a moment to read the response and close.

    gunicorn does this in the thread that accepts connections, where clients that do not close would block it.
    """
    deadline = time.monotonic() + CLOSE_SECONDS
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(1 << 16):
                break
    # From here on nothing blocks on the socket.
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)


def _keep_memory_low() -> None:
    # Otherwise each thread that waits for a body holds a buffer of a megabyte.
    SocketUnreader.max_body_chunk = 1 << 16
    # Return large blocks to the system immediately: glibc would keep freed megabytes in each of its arenas. Other C
    # libraries have no such function.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 17)
