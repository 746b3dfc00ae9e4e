"""A receiver of webhooks on a port of its own, which can be slow, hang, drip or fail."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dashboard.webhook_post import signature


class Receiver(ThreadingHTTPServer):
    """Takes each event once by its id. `mode` is ok, slow, hang, drip, fail or lost (taken, but the answer is lost)."""

    daemon_threads = True

    def __init__(self, key: bytes, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.key, self.mode, self.status = key, "ok", 500
        self.events: dict[str, dict[str, Any]] = {}
        self.requests: Counter[str] = Counter()
        self.forged: list[str] = []
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/pharos?to=desk"

    def taken(self, kind: str = "") -> list[dict[str, Any]]:
        """The events of a kind, in the order of their first arrival."""
        return [event for event in self.events.values() if kind in ("", event["type"])]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        id, sent = self.headers["webhook-id"], int(self.headers["webhook-timestamp"])
        self.server.requests[id] += 1
        if self.headers["webhook-signature"] != signature(self.server.key, id, sent, body):
            self.server.forged.append(id)
        mode = self.server.mode
        if mode == "fail":
            self.send_response(self.server.status)
            self.end_headers()
            return
        if mode in ("hang", "drip"):
            while mode == "drip" and not self.server.stopping.wait(0.05):
                self.wfile.write(b"x")
                self.wfile.flush()
            self.server.stopping.wait(60)
            return
        if mode == "slow":
            time.sleep(0.2)
        self.server.events.setdefault(id, json.loads(body))
        if mode == "lost":
            self.close_connection = True
            return
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def receiving(key: bytes, port: int = 0) -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(key, port)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopping.set()
        receiver.shutdown()
        receiver.server_close()
