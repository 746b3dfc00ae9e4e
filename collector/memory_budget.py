"""Room for large bodies: decoded, one takes up to 26 times its size, so not all that have come are decoded at once."""

import threading
import time


class MemoryBudget:
    """So many bytes for all threads of a process; whoever finds no room waits, and nobody overtakes."""

    def __init__(self, size: int, seconds: float) -> None:
        self._free, self._seconds = size, seconds
        self._line = threading.Lock()
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Wait until it is our turn, and until there is enough; False if in vain."""
        deadline = time.monotonic() + self._seconds
        if not self._line.acquire(timeout=self._seconds):
            return False
        with self._changed:
            enough = self._changed.wait_for(lambda: self._free >= size, deadline - time.monotonic())
            self._free -= size if enough else 0
        self._line.release()
        return enough

    def give_back(self, size: int) -> None:
        """Let the next one in."""
        with self._changed:
            self._free += size
            self._changed.notify()
