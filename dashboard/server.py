"""Runs the dashboard under gunicorn: one worker with threads. This process owns the embedded engine."""

import contextlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any

from core import logs
from core.home import Home
from core.http_server import HttpServer
from core.http_worker import THREADS, TimeLimitedWorker
from core.settings import Settings
from warehouse.engine import Engine, EngineError
from warehouse.queries import metrics

GRACEFUL_SECONDS = 20


Stop = Callable[[], None]


class DashboardServer(HttpServer):
    """gunicorn with our settings.

    `lock` is the home's `dashboard` lock, which only the master holds. `beside` starts the tasks that must run in the
    process of the engine (embedded: the loader), and returns a function that stops them. The worker opens the engine,
    because a fork after chDB is loaded hangs.
    """

    def __init__(
        self, settings: Settings, home: Home, lock: IO[bytes], beside: Callable[[Engine], Stop] | None = None
    ) -> None:
        self._settings, self._home, self._lock, self._beside = settings, home, lock, beside
        self._engine: Engine | None = None
        self._stop: Stop | None = None
        super().__init__()

    def load_config(self) -> None:
        """Use only our settings, not gunicorn's environment or files."""
        for name, value in {
            "bind": [str(self._settings.dashboard_bind)],
            "workers": 1,
            "worker_class": TimeLimitedWorker,
            "threads": THREADS,
            "keepalive": 5,
            "timeout": 120,
            "graceful_timeout": GRACEFUL_SECONDS,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112
            "control_socket_disable": True,
            "proc_name": "pharos dashboard",
            "logconfig_dict": logs.config(),
            "worker_exit": self._worker_exit,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application of the worker."""
        from dashboard.app import SENDERS, create_app

        self._lock.close()
        self._engine = Engine(self._settings, self._home)
        if self._beside is not None:
            self._stop = self._beside(self._engine)
        threading.Thread(target=_warm, args=(self._engine,), name="warm", daemon=True).start()
        app = create_app(self._settings, self._home, self._engine)
        for sender in app.extensions[SENDERS]:
            sender.start()
        return logs.with_request_ids(app)

    def _worker_exit(self, server: Any, worker: Any) -> None:
        if self._stop is not None:
            self._stop()
        if self._engine is not None:
            self._engine.close()


def _warm(engine: Engine) -> None:
    """Run the queries of the first page, because the first query of a new engine takes a second."""
    with contextlib.suppress(EngineError):
        for by in ("none", "version"):
            metrics.answer(engine, metrics.parse("installs", {"by": by}, datetime.now(UTC).date()), k=2)
