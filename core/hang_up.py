"""Handle SIGHUP (from `kill -HUP`, log rotation or a closed terminal): Pharos reloads its files and continues.

Connections, beacons and the engine are not affected. If a file is invalid, its previous content stays in force.
"""

import signal
from typing import Any

_times = 0


def listen() -> None:
    """Count SIGHUPs from now on, instead of exiting at the first. Call this in the main thread."""
    signal.signal(signal.SIGHUP, _count)


def times() -> int:
    """Return the number of SIGHUPs so far. Code that watches a file checks it again when this changes."""
    return _times


def _count(*_: Any) -> None:
    global _times
    _times += 1
