"""Hold back SIGINT and SIGTERM while a process has no handler for them yet. The handler then takes what has come.

Without this, a stop ends a starting process midway, or is lost in one that was just forked.
"""

import signal

_STOPS = (signal.SIGINT, signal.SIGTERM)


def hold() -> None:
    """Hold them back in this thread, and in the threads and processes that it starts, until `release`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)


def release() -> None:
    """Take what has come since `hold`, and what comes from now on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
