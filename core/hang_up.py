"""SIGHUP, which `kill -HUP`, log rotation and a closed terminal send: Pharos looks at its files again, and goes on.

Connections, beacons and the engine are not touched. A file that is broken leaves in force what was read before.
"""

import signal
from typing import Any

_times = 0


def listen() -> None:
    """Count SIGHUPs from now on, instead of ending at the first. To be called in the main thread."""
    signal.signal(signal.SIGHUP, _count)


def times() -> int:
    """How many SIGHUPs came: who watches a file looks at it again when this changes."""
    return _times


def _count(*_: Any) -> None:
    global _times
    _times += 1
