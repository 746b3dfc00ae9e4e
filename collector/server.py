"""The collector under gunicorn: workers of threads, each with its own writer to the one spool."""

import contextlib
import ctypes
import os
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import IO, Any

from gunicorn.http import errors
from gunicorn.http.unreader import SocketUnreader

from collector.problems import document
from collector.validate import Reason, Rejected
from core import logs
from core.catalog import watch
from core.home import Home, HomeError, derive
from core.http_server import HttpServer, Worker
from core.settings import Settings

# Far more than run at once: a client that sends its request byte by byte holds one until `REQUEST_SECONDS` are over,
# and all of those clients may have come to one worker.
THREADS = 256
REQUEST_SECONDS = 10.0
GRACEFUL_SECONDS = 20
MEMORY = Path("/dev/shm")  # noqa: S108
_M_MMAP_THRESHOLD = -3  # in malloc.h

# What gunicorn itself refuses before the application sees a request.
_REASONS: dict[type[Exception], Reason] = {
    errors.LimitRequestLine: Reason.URI_TOO_LONG,
    errors.LimitRequestHeaders: Reason.HEADERS_TOO_LARGE,
    errors.ExpectationFailed: Reason.EXPECTATION_FAILED,
}


class ProblemWorker(Worker):
    """A gthread worker that refuses in the same form as the application, and logs no line of the request.

    gunicorn waits for each piece of a request as long as it takes; here the whole request has `REQUEST_SECONDS`.
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
        """Handle a request, within its time."""
        self._reading[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._reading[conn]

    def _end_slow(self) -> None:
        while True:
            time.sleep(1)
            late = time.monotonic() - REQUEST_SECONDS
            for conn, began in list(self._reading.items()):
                if began < late:
                    # Nothing more can be read; an answer that is under way still gets out.
                    with contextlib.suppress(OSError):
                        conn.sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be read; gunicorn's own answer is HTML and may be a 500."""
        reason = _REASONS.get(type(exc), Reason.BAD_REQUEST)
        status, body = document(Rejected(reason, detail="the request is not valid HTTP, or is too long"))
        self.log.info("refused a request: %s", type(exc).__name__)
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            self.log.debug("the client is gone")


def _keep_memory_low() -> None:
    # Each thread that waits for a body would hold a megabyte for what may come at once.
    SocketUnreader.max_body_chunk = 1 << 16
    # glibc would keep freed megabytes in each of its arenas; so what is large goes back to the system at once. Other C
    # libraries have no such function.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 17)


class CollectorServer(HttpServer):
    """gunicorn with our settings; the application is made in each worker, after the fork."""

    def __init__(self, settings: Settings, home: Home, lock: IO[bytes]) -> None:
        """`lock` is the home's `collector` lock, which the master alone holds."""
        self._settings, self._home, self._lock = settings, home, lock
        # Here, so that a worker which is started over a file that broke meanwhile has one that was whole.
        self._catalog = watch(settings, home)
        self._counters = counters_folder(settings, home)
        shutil.rmtree(self._counters, ignore_errors=True)  # what a killed collector left
        try:
            self._counters.mkdir(mode=0o700)
        except OSError as error:
            raise HomeError(f"{self._counters} cannot be made: {error.strerror}") from None
        # prometheus-client reads this when it is first imported: before the application is.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._counters)
        self._writer: Any = None
        super().__init__()

    def load_config(self) -> None:
        """Our settings, and nothing of gunicorn's environment or files."""
        for name, value in {
            "bind": [str(self._settings.collector_bind)],
            "workers": self._settings.collector_workers,
            "worker_class": ProblemWorker,
            "threads": THREADS,
            "keepalive": 5,
            "timeout": 60,
            "graceful_timeout": GRACEFUL_SECONDS,
            "worker_tmp_dir": str(MEMORY) if MEMORY.is_dir() else None,
            "control_socket_disable": True,
            "proc_name": "pharos collector",
            "logconfig_dict": logs.config(),
            "worker_exit": self._worker_exit,
            "child_exit": _child_exit,
            "on_exit": self._on_exit,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application of one worker."""
        # systemd-logind and cleaners of temporary files remove it, and without it nothing can be counted.
        self._counters.mkdir(mode=0o700, exist_ok=True)
        from collector.app import create_app
        from collector.group_commit import Writer

        # A worker that outlives a killed master must not keep the next collector from starting.
        self._lock.close()
        self._writer = Writer(self._home.spool)
        return create_app(self._settings, self._home, self._writer, self._catalog)

    def _worker_exit(self, server: Any, worker: Any) -> None:
        if self._writer is not None:
            self._writer.close()

    def _on_exit(self, server: Any) -> None:
        shutil.rmtree(self._counters, ignore_errors=True)


def counters_folder(settings: Settings, home: Home) -> Path:
    """The folder through which the workers share their counters.

    Not on the disk: prometheus-client maps sparse files, and to touch a new page of one on a full disk is SIGBUS. The
    name is a keyed one, which nobody else who writes to /dev/shm can take before us.
    """
    name = derive(home.root_secret(settings), f"counters of {home.path}").hex()[:16]
    return MEMORY / f"pharos-{name}" if MEMORY.is_dir() else home.metrics


def _child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
