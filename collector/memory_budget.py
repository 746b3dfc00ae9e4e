"""Limits the memory for decoding large bodies. A decoded body takes up to 26 times its size."""

import threading
import time


class MemoryBudget:
    """A number of bytes that all threads of a process share. Threads wait for free bytes in order of arrival."""

    def __init__(self, size: int, seconds: float) -> None:
        self._free, self._seconds = size, seconds
        self._line = threading.Lock()
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Reserve `size` bytes. Waits for its turn and for free bytes; returns False on timeout."""
        deadline = time.monotonic() + self._seconds
        if not self._line.acquire(timeout=self._seconds):
            return False
        with self._changed:
            enough = self._changed.wait_for(lambda: self._free >= size, deadline - time.monotonic())
            self._free -= size if enough else 0
        self._line.release()
        return enough

    def give_back(self, size: int) -> None:
        """Release `size` bytes, and wake the next waiting thread."""
        with self._changed:
            self._free += size
            self._changed.notify()
