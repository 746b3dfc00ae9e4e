"""Makes what a browser loads small: compresses scripts once, and other text with each answer."""

import gzip
import hashlib
import json
import re
import threading
from importlib.util import find_spec
from pathlib import Path

import brotli
import dash_ag_grid
from flask import Flask, Response, abort, g, request
from flask_compress import Compress
from werkzeug.wrappers import Response as AnyResponse

from dashboard.countries import ATLAS, outlines
from dashboard.permissions import CALLBACKS, MAP

SCRIPTS = "/_dash-component-suites/"
# The first chart requests this script only once its figure has arrived. A preload header starts it with the page.
PLOTLY = f"{SCRIPTS}plotly/package_data/plotly.min.js"
CHART_PAGES = ("/", "/feature", "/versions", "/drop", "/licensing/trends", "/health")
# The script of the grids. Dash would load it with the first page, whatever it shows: `later` takes it out, and the
# router has it loaded with the first page that has a grid.
GRIDS = f"{SCRIPTS}dash_ag_grid/dash_ag_grid.min.js"
GRID_PAGES = ("/features", "/licensing/installs", "/access-log", "/rights")
# The edition with the kinds of chart that the pages have, where `deploy/charts.sh` has fetched it. Sent in place of the
# whole one if it is of the same version.
SMALL_PLOTLY = Path(__file__).with_name("plotly-basic.min.js")
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
    small = small_plotly(SMALL_PLOTLY)

    @server.before_request
    def plotly() -> AnyResponse | None:
        if request.path != PLOTLY or small is None:
            return None
        return _revalidated(small, "application/javascript")

    @server.get(MAP)
    def world_map() -> AnyResponse:
        shapes = outlines(ATLAS)
        if shapes is None:
            abort(404)
        return _revalidated(json.dumps(shapes, separators=(",", ":")).encode(), "application/json")

    packed = PackedScripts()

    @server.after_request
    def pack(response: Response) -> Response:
        if response.status_code == 200:
            for script, pages in ((PLOTLY, CHART_PAGES), (GRIDS, GRID_PAGES)):
                if request.path in pages:
                    response.headers["Link"] = f"<{script}>; rel=preload; as=script"
        if request.path == CALLBACKS and (scripts := g.pop("scripts", [])):
            # The browser waits for these scripts before it shows the page.
            answer = {**response.get_json(), "dist": [{"type": "_js_dist", "url": script} for script in scripts]}
            response.set_data(json.dumps(answer))
        if not request.path.startswith((SCRIPTS, MAP)):
            return response
        response.headers.setdefault("Cache-Control", "no-cache")  # cached, and revalidated by its ETag
        response.vary.add("Accept-Encoding")
        encoding = request.accept_encodings.best_match(["br", "gzip"])
        if response.status_code != 200 or not encoding or len(response.get_data()) < LEAST:
            return response
        response.set_data(packed.get(request.path, encoding, response.get_data()))
        response.headers["Content-Encoding"] = encoding
        return response


def _revalidated(content: bytes, kind: str) -> AnyResponse:
    """Return a response that a browser keeps, and asks about each time; it is sent again only if it has changed."""
    response = Response(content, content_type=kind)
    response.set_etag(hashlib.sha256(content).hexdigest())
    response.cache_control.no_cache = True
    return response.make_conditional(request)


def later() -> None:
    """Take the script of the grids out of the first page. Dash still delivers it."""
    for script in dash_ag_grid._js_dist:
        if script["relative_package_path"] == Path(GRIDS).name:
            script["dynamic"] = True


class PackedScripts:
    """Compressed scripts. The first visitors get each as soon as possible, later ones a twelfth smaller.

    It takes seconds of CPU to pack all of them better. That begins when a second browser asks.
    """

    def __init__(self) -> None:
        self._scripts: dict[tuple[str, str], bytes] = {}
        self._better: set[tuple[str, str]] = set()
        self._lock, self._one_at_a_time = threading.Lock(), threading.Lock()

    def get(self, path: str, encoding: str, script: bytes) -> bytes:
        """Return a script as it is sent now."""
        with self._lock:
            key = path, encoding
            if key not in self._scripts:
                self._scripts[key] = _packed(script, encoding)
            elif encoding == "br" and key not in self._better:
                self._better.add(key)
                threading.Thread(target=self._pack_better, args=(key, script), daemon=True).start()
            return self._scripts[key]

    def _pack_better(self, key: tuple[str, str], script: bytes) -> None:
        with self._one_at_a_time:
            self._scripts[key] = brotli.compress(script, quality=10)


def _packed(script: bytes, encoding: str) -> bytes:
    # The largest takes 0.1 s with quality 9 of brotli, and 1 s with 10.
    return brotli.compress(script, quality=9) if encoding == "br" else gzip.compress(script, 6, mtime=0)


def small_plotly(path: Path) -> bytes | None:
    """Return the small edition of plotly.js; None without one of the version that the Python package has."""
    package = find_spec("plotly")
    whole = Path(package.origin).with_name("package_data") / "plotly.min.js" if package and package.origin else None
    if whole is None or not whole.is_file() or not path.is_file():
        return None
    script = path.read_bytes()
    with whole.open("rb") as start:
        return script if _version(script[:200]) == _version(start.read(200)) else None


def _version(start: bytes) -> bytes | None:
    found = re.search(rb"plotly\.js[^\n]* v([0-9.]+)", start)
    return found and found[1]
