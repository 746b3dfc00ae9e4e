"""The collector under gunicorn: workers of threads, each with its own writer to the one spool."""

import os
import shutil
from pathlib import Path
from typing import IO, Any

from core import logs
from core.catalog import watch
from core.home import Home, HomeError, derive
from core.http_server import HttpServer
from core.http_worker import THREADS, TimeLimitedWorker
from core.settings import Settings

GRACEFUL_SECONDS = 20
MEMORY = Path("/dev/shm")  # noqa: S108


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
            "worker_class": TimeLimitedWorker,
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
