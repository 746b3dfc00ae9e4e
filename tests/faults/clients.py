"""Clients that post as SDKs do: the same beacons again until they are answered 202."""

import threading
import time
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import System, wait_for

CLIENTS = 6
PER_POST = 5


class Clients:
    """Threads that post new beacons, each of an install of its own, one use in each."""

    def __init__(self, system: System) -> None:
        self.answered = 0  # beacons, each answered 202 at least once
        self.unanswered = 0  # posts that got another answer, or none
        self._system = system
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def wait_for_more(self, beacons: int = 50) -> None:
        """Return once that many beacons have come in from here on."""
        enough = self.answered + beacons
        wait_for(lambda: self.answered > enough, "beacons to come in", 120)

    def _run(self) -> None:
        while not self._stop.is_set():
            batch = [beacon() for _ in range(PER_POST)]
            while not self._post(batch):
                with self._lock:
                    self.unanswered += 1
                time.sleep(0.05)
            with self._lock:
                self.answered += len(batch)

    def _post(self, batch: list[dict[str, Any]]) -> bool:
        with suppress(OSError, ValueError, HTTPException):
            return self._system.post(batch)[0] == 202
        return False
