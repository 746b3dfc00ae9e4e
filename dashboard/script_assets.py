"""The scripts of Dash and its components, on their way to the browser: small, and sent again only when they changed."""

import gzip
import threading

from flask import Flask, Response, request

SCRIPTS = "/_dash-component-suites/"
# Asked for by the first chart only, when all figures are there already; named beside the page, it loads meanwhile.
PLOTLY = f"{SCRIPTS}plotly/package_data/plotly.min.js"
CHART_PAGES = ("/", "/features", "/health")
LEAST = 2048


def register(server: Flask) -> None:
    """Send these scripts gzipped (10 MB become 3). Each is packed once and kept: they are as many as Dash has."""
    packed: dict[str, bytes] = {}
    lock = threading.Lock()

    @server.after_request
    def pack(response: Response) -> Response:
        if request.path in CHART_PAGES and response.status_code == 200:
            response.headers["Link"] = f"<{PLOTLY}>; rel=preload; as=script"
        if not request.path.startswith(SCRIPTS):
            return response
        response.headers.setdefault("Cache-Control", "no-cache")  # kept, and asked for by its ETag
        response.vary.add("Accept-Encoding")
        if response.status_code != 200 or not request.accept_encodings["gzip"] or len(response.get_data()) < LEAST:
            return response
        with lock:
            if request.path not in packed:
                packed[request.path] = gzip.compress(response.get_data(), 6, mtime=0)
            response.set_data(packed[request.path])
        response.headers["Content-Encoding"] = "gzip"
        return response
