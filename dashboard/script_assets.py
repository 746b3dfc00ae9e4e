"""Makes what a browser loads small: compresses scripts once, and other text with each answer."""

import gzip
import threading

import brotli
from flask import Flask, Response, request
from flask_compress import Compress

SCRIPTS = "/_dash-component-suites/"
# The first chart requests this script only once its figure has arrived. A preload header starts it with the page.
PLOTLY = f"{SCRIPTS}plotly/package_data/plotly.min.js"
CHART_PAGES = ("/", "/features", "/health")
LEAST = 2048
# Not HTML: a page that repeats what a visitor sends must not be compressed together with its CSRF token (BREACH).
COMPRESSED = ("application/json", "application/problem+json", "text/css", "text/javascript", "application/javascript")


def register(server: Flask) -> None:
    """Send scripts compressed and cached by browsers, and all other text but HTML compressed."""
    server.config.update(
        COMPRESS_MIMETYPES=list(COMPRESSED), COMPRESS_ALGORITHM=["br", "gzip"], COMPRESS_MIN_SIZE=LEAST
    )
    # Functions run in reverse order of their registration: scripts are packed before this sees them.
    Compress(server)
    packed: dict[tuple[str, str], bytes] = {}
    lock = threading.Lock()

    @server.after_request
    def pack(response: Response) -> Response:
        if request.path in CHART_PAGES and response.status_code == 200:
            response.headers["Link"] = f"<{PLOTLY}>; rel=preload; as=script"
        if not request.path.startswith(SCRIPTS):
            return response
        response.headers.setdefault("Cache-Control", "no-cache")  # cached, and revalidated by its ETag
        response.vary.add("Accept-Encoding")
        encoding = request.accept_encodings.best_match(["br", "gzip"])
        if response.status_code != 200 or not encoding or len(response.get_data()) < LEAST:
            return response
        with lock:
            key = request.path, encoding
            if key not in packed:
                packed[key] = _packed(response.get_data(), encoding)
            response.set_data(packed[key])
        response.headers["Content-Encoding"] = encoding
        return response


def _packed(script: bytes, encoding: str) -> bytes:
    # Quality 9 takes half a second for the largest script, once, and is a tenth smaller than gzip.
    return brotli.compress(script, quality=9) if encoding == "br" else gzip.compress(script, 6, mtime=0)
