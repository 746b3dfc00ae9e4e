"""gunicorn as Pharos runs it: only the settings of Pharos, and a SIGHUP restarts nothing."""

import signal

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from core import hang_up


class HttpServer(BaseApplication):  # type: ignore[misc]
    """A gunicorn application whose workers must be of the class `Worker`."""

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        _Arbiter(self).run()


class Worker(ThreadWorker):  # type: ignore[misc]
    """A worker that a SIGHUP does not end: a terminal that closes sends it to every process."""

    def init_signals(self) -> None:
        """As gunicorn, and count SIGHUPs."""
        super().init_signals()
        hang_up.listen()


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's master. Its own reload starts new workers, and ends with them when a file is broken."""

    def handle_hup(self) -> None:
        self.log.info("SIGHUP: files that changed are read again")
        self.kill_workers(signal.SIGHUP)
