"""Counts rejected beacons and requests in memory, and adds the counts to the spool every two seconds.

A worker that is killed loses the counts of these seconds. No beacon is lost with them: a rejected one is not stored.
"""

import atexit
import logging
import sqlite3
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from collector.spool import Spool, Unavailable
from collector.spool.rejections import Rejection
from collector.validate import Rejected
from core.fields import FIELDS, OBJECTS

SECONDS = 2.0
_KNOWN = frozenset([*(field.path for field in FIELDS), *OBJECTS])

log = logging.getLogger("pharos.rejections")


class Counting:
    """Counts for one process. Create it after the fork: it starts a thread with the first rejection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts: Counter[Rejection] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, why: Rejected, times: int = 1) -> None:
        """Count a rejection, now."""
        rejection = datetime.now(UTC).date().isoformat(), str(why.reason), field_of(why.path)
        with self._lock:
            self._counts[rejection] += times
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="rejections", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def close(self) -> None:
        """Add what is left to the spool."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(SECONDS)

    def _run(self) -> None:
        stopping = failing = False
        while not stopping:
            stopping = self._stop.wait(SECONDS)
            with self._lock:
                counts, self._counts = self._counts, Counter()
            try:
                if counts:
                    self._add(counts)
            except (Unavailable, sqlite3.Error) as error:
                # Keep them: there are no more of them than days, reasons and fields.
                if not failing:  # once: the log may be on the same full disk
                    log.warning("rejections cannot be stored, they are counted in memory until then: %s", error)
                failing = True
                with self._lock:
                    self._counts += counts
            else:
                if failing and counts:
                    log.info("rejections are stored again")
                    failing = False

    def _add(self, counts: Counter[Rejection]) -> None:
        spool = Spool(self._path)
        try:
            spool.add_rejections(counts)
        finally:
            spool.close()


def field_of(path: str) -> str:
    """Return the field or object of a beacon that a path is in, "" for the beacon itself.

    An unknown name may be a value, and there is no end of them: `platform.my_email` is told as `platform`.
    """
    while path and path not in _KNOWN:
        path = path.rpartition(".")[0]
    return path
