"""gunicorn as Pharos runs it: a SIGHUP restarts nothing."""

import signal

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter


class HttpServer(BaseApplication):  # type: ignore[misc]
    """A gunicorn application; its workers are of the class `TimeLimitedWorker`, which a SIGHUP does not end."""

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        _Arbiter(self).run()


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's master. Its own reload starts new workers, and ends with them when a file is broken."""

    def handle_hup(self) -> None:
        self.log.info("SIGHUP: files that changed are read again")
        self.kill_workers(signal.SIGHUP)
