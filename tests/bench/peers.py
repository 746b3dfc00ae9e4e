"""What a collector could be instead, under the collector's gunicorn settings: `python -m tests.bench.peers PEER`.

`nothing` answers and does nothing: the floor. `append` appends each body to a file and flushes it to the disk.
"""

import os
import sys
from typing import Any

from flask import Flask, Response, request

from collector.server import CollectorServer
from core.home import Home
from core.settings import Settings


class PeerServer(CollectorServer):
    """The collector's server with another application."""

    def load(self) -> Any:
        """The application of the peer."""
        app = Flask("peer")
        file = os.open(self._home.path / "bodies", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

        @app.post("/v1/beacons")
        def post_beacons() -> Response:
            if sys.argv[1] == "append":
                os.write(file, request.get_data() + b"\n")
                os.fdatasync(file)
            return Response(b"{}", 202, content_type="application/json")

        @app.get("/healthz")
        def get_healthz() -> Response:
            return Response(b"{}")

        return app


if __name__ == "__main__":
    settings = Settings.from_environ(os.environ)
    home = Home(settings.home)
    PeerServer(settings, home, home.lock("collector")).run()
