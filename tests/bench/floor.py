"""The floor: a Flask route that does nothing, under the collector's gunicorn settings."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask, Response

from collector.server import CollectorServer
from core.home import Home
from core.settings import Bind, Settings


class FloorServer(CollectorServer):
    """The collector's server with another application."""

    def load(self) -> Any:
        """The application that does nothing."""
        app = Flask("floor")

        @app.post("/v1/beacons")
        def post_nothing() -> Response:
            return Response(b"{}", 202, content_type="application/json")

        @app.get("/healthz")
        def get_healthz() -> Response:
            return Response(b"{}")

        return app


if __name__ == "__main__":
    settings = Settings(collector_bind=Bind("127.0.0.1", int(sys.argv.pop())), home=Path(tempfile.mkdtemp()))
    home = Home(settings.home)
    FloorServer(settings, home, home.lock("collector")).run()
