"""HTTP connections to a ClickHouse server that another thread can close.

ClickHouse ends a read-only statement whose connection is closed (`cancel_http_readonly_queries_on_client_close`).
`KILL QUERY` would need the right to read the statements of all users, which the reader of one plane must not have.
"""

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool, PoolManager


class ClosableConnections:
    """The connections of one client. The client is used by one thread, so at most one connection is in use."""

    def __init__(self, pools: "PoolManager") -> None:
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False
        pools.clear()
        pools.pool_classes_by_scheme = {
            "http": self._pool(HTTPConnectionPool),
            "https": self._pool(HTTPSConnectionPool),
        }

    def close(self) -> None:
        """Close the connection in use. No other can be opened: the driver would send the statement once more."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                # Not `SSLSocket.shutdown`, which takes its session from the thread that reads.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionAbortedError("the statement was cancelled")

    def _opened(self, opened: socket.socket) -> None:
        with self._lock:
            if self._closed:
                opened.close()
            self._check_open()
            self._socket = opened

    def _pool(self, kind: type["HTTPConnectionPool"]) -> type["HTTPConnectionPool"]:
        check_open, opened = self._check_open, self._opened

        class Connection(kind.ConnectionCls):  # type: ignore[misc, name-defined]
            def connect(self) -> None:
                check_open()  # first: a server that hangs may never complete the handshake
                super().connect()
                opened(self.sock)

        class Pool(kind):  # type: ignore[misc, valid-type]
            ConnectionCls: Any = Connection

        return Pool
