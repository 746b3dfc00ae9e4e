"""gunicorn for Pharos: it uses only the settings of Pharos, and a SIGHUP restarts nothing."""

import os
import signal
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from core import hang_up, stop_signals


class HttpServer(BaseApplication):  # type: ignore[misc]
    """A gunicorn application whose workers must be of the class `Worker`."""

    def load_default_config(self) -> None:
        """Start from gunicorn's defaults, with the user of this process.

        gunicorn reads the user when it is imported, and root may have become the owner of the home since.
        """
        super().load_default_config()
        self.cfg.set("user", os.geteuid())
        self.cfg.set("group", os.getegid())

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        _Arbiter(self).run()


class Worker(ThreadWorker):  # type: ignore[misc]
    """A worker that survives SIGHUP, which a closing terminal sends to every process.

    Once it stops, a new connection is refused, so that its client turns to another collector at once. gunicorn itself
    keeps the port open, and resets at the end what nobody has accepted.
    """

    sockets: list[Any]
    stopping = False  # of this process

    def init_signals(self) -> None:
        """Set gunicorn's signal handlers, and count SIGHUPs."""
        super().init_signals()
        hang_up.listen()
        stop_signals.release()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """As gunicorn, and note it for `/readyz`."""
        Worker.stopping = True
        super().handle_exit(sig, frame)

    def set_accept_enabled(self, enabled: bool) -> None:
        """As gunicorn, and close the port of a worker that stops. Who had connected before is answered."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            connections = -1
            while connections != self.nr_conns:
                connections = self.nr_conns
                self.accept(listener)
            listener.close()
        self.sockets = []


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's master without its reload, which starts new workers and exits if a file is invalid.

    A stop that comes while it starts, or while it forks a worker, is neither lost nor an error.
    """

    def init_signals(self) -> None:
        """As gunicorn, and take a stop that has come before."""
        super().init_signals()
        stop_signals.release()

    def spawn_worker(self) -> Any:
        """As gunicorn, with stops held back until the worker has its own handlers: its copy of ours would lose them."""
        stop_signals.hold()
        try:
            return super().spawn_worker()
        finally:
            stop_signals.release()

    def handle_hup(self) -> None:
        self.log.info("SIGHUP: changed files are reloaded")
        self.kill_workers(signal.SIGHUP)
