"""Runs the collector under gunicorn: workers with threads, each worker with its own writer to the spool."""

import os
import shutil
from pathlib import Path
from typing import IO, Any

import flask  # noqa: F401 - before the fork, so that the workers share it

from core import logs
from core.catalog import watch
from core.home import Home, HomeError, derive
from core.http_server import HttpServer
from core.http_worker import THREADS, TimeLimitedWorker
from core.settings import Settings

GRACEFUL_SECONDS = 20
MEMORY = Path("/dev/shm")  # noqa: S108


class CollectorServer(HttpServer):
    """gunicorn with our settings. Each worker creates the application after the fork."""

    def __init__(self, settings: Settings, home: Home, lock: IO[bytes]) -> None:
        """`lock` is the home's `collector` lock, which only the master holds."""
        self._settings, self._home, self._lock = settings, home, lock
        # Read here, so that a worker started after the file became invalid has the last valid catalog.
        self._catalog = watch(settings, home)
        self._counters = counters_folder(settings, home)
        shutil.rmtree(self._counters, ignore_errors=True)  # left by a killed collector
        try:
            self._counters.mkdir(mode=0o700)
        except OSError as error:
            raise HomeError(f"{self._counters} cannot be created: {error.strerror}") from None
        # prometheus-client reads this at its first import, before the application exists.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._counters)
        self._writer: Any = None
        super().__init__()

    def load_config(self) -> None:
        """Use only our settings, not gunicorn's environment or files."""
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
        """Return the application of one worker."""
        # systemd-logind and cleaners of temporary files may remove the folder, and the counters need it.
        self._counters.mkdir(mode=0o700, exist_ok=True)
        from collector.app import create_app
        from collector.group_commit import Writer

        # A worker that survives a killed master must not prevent the next collector from starting.
        self._lock.close()
        self._writer = Writer(self._home.spool)
        return create_app(self._settings, self._home, self._writer, self._catalog)

    def _worker_exit(self, server: Any, worker: Any) -> None:
        if self._writer is not None:
            self._writer.close()

    def _on_exit(self, server: Any) -> None:
        shutil.rmtree(self._counters, ignore_errors=True)


def counters_folder(settings: Settings, home: Home) -> Path:
    """Return the folder where the workers share their counters.

    It is not on the disk: prometheus-client maps sparse files, and a write to a new page on a full disk raises SIGBUS.
    Its name is a keyed hash, so that no other user can create the folder in /dev/shm before us.
    """
    name = derive(home.root_secret(settings), f"counters of {home.path}").hex()[:16]
    return MEMORY / f"pharos-{name}" if MEMORY.is_dir() else home.metrics


def _child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
