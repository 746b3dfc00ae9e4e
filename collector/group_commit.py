"""Group commit: one thread of each worker writes the beacons of all concurrent requests in one transaction.

Each commit costs one disk flush, regardless of its size. The next requests queue up while a commit runs, and under load
a little longer: threads that wake up in small groups pass Python's lock around more than they work.
"""

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from collector.spool import Basis, Group, Row, Spool, Stored, Unavailable, check_clock

# The most beacons in one commit, because other workers wait for the lock that a commit holds.
MOST = 5000  # five values each, and a statement of SQLite has at most 32,766
ANSWER_SECONDS = 20.0
SPACE_SECONDS = 1.0
# After a commit of so many requests the writer waits for more. With 32 clients on two cores, a beacon then takes a
# seventh less CPU, and no more time.
BUSY_REQUESTS = 4
GATHERING_SECONDS = 0.002


class _Pending:
    """The beacons of a waiting request, and their result once `done` is released.

    A `Future` would cost three times as much: it creates a condition, and its waiter another lock.
    """

    __slots__ = ("done", "group", "result")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.result: Stored | Unavailable = None
        self.done = threading.Lock()
        self.done.acquire()


class Stale(Exception):
    """The owner of one of the installs made a decision meanwhile. Split the beacons again."""


class OverLimit(Exception):
    """The ingest key or the address is over its limit. It may send again after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"over the limit for {seconds} s")
        self.seconds = seconds


class Writer:
    """Writes to the spool for all threads of a process. Create it after the fork: it owns a thread and a connection.

    `oldest` is the time of receipt of the oldest beacon in the spool (epoch seconds), or None, as of the last commit
    or of a second before it.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._spool = Spool(path)
        self._clock = clock
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._space_checked = 0.0
        self.oldest: int | None = None
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    def put(self, rows: list[Row], limits: tuple[tuple[str, int], ...] = (), basis: Basis | None = None) -> list[bool]:
        """Store rows on disk; returns True for each new row, False for a duplicate.

        `limits` and `basis` are those of `Group`. Raises `Stale` if the basis has changed, `OverLimit` and
        `Unavailable`. After `Unavailable` the rows may still be stored: a retry may find duplicates, but loses nothing.
        """
        pending = _Pending(Group(rows, limits, basis))
        with self._closing:  # so that nothing is queued after the last item
            if self._closed:
                raise Unavailable("the collector is stopping")
            self._queue.put(pending)
        if not pending.done.acquire(timeout=ANSWER_SECONDS):
            raise Unavailable("the spool does not answer")
        result = pending.result
        if isinstance(result, Unavailable):
            raise result
        if result is None:
            raise Stale
        if isinstance(result, int):
            raise OverLimit(result)
        return result

    def check(self) -> None:
        """Raise `Unavailable` if the spool cannot store beacons now."""
        if self._closed:
            raise Unavailable("the collector is stopping")
        check_clock(self._clock())
        self._spool.check_space()

    def close(self) -> None:
        """Write the queued beacons, then stop."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join(ANSWER_SECONDS)
        self._spool.close()

    def _run(self) -> None:
        last = False
        pending: list[_Pending] = []
        while not last:
            item = self._queue.get()
            if len(pending) >= BUSY_REQUESTS:
                time.sleep(GATHERING_SECONDS)
            pending = []
            beacons = 0
            while True:
                if item is None:
                    last = True
                    break
                pending.append(item)
                beacons += len(item.group.rows)
                if beacons >= MOST:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if pending:
                self._write(pending)

    def _write(self, pending: list[_Pending]) -> None:
        try:
            received, now = self._clock(), time.monotonic()
            check_clock(received)
            if now - self._space_checked >= SPACE_SECONDS:
                self._spool.check_space()
                self._space_checked = now
                self.oldest = self._spool.oldest()
            results = self._spool.store_groups([each.group for each in pending], received)
            for each, result in zip(pending, results, strict=True):
                each.result = result
        except BaseException as error:  # the thread must survive: each request gets the error as its result
            for each in pending:
                each.result = Unavailable(str(error))
        for each in pending:
            each.done.release()
