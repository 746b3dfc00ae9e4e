"""Ends a statement when nobody waits for its result any more."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from warehouse.errors import Cancelled, EngineError

CHECK_SECONDS = 0.25

Gone = Callable[[], bool]


@contextlib.contextmanager
def cancelled_when(gone: Gone, cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel` from another thread when `gone` returns True during the block. Then raises `Cancelled`.

    `cancel` is called again until the block ends: the first call may come before ClickHouse knows the statement.
    """
    if gone():
        raise Cancelled
    ended, cancelled = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(CHECK_SECONDS):
            if gone():
                cancelled.set()
                with contextlib.suppress(EngineError):
                    cancel()

    watcher = threading.Thread(target=watch, name="cancellation", daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        if cancelled.is_set():
            raise Cancelled from error
        raise
    finally:
        # Wait for a call of `cancel` in progress, which must not meet the next statement of the connection.
        ended.set()
        watcher.join()
    if cancelled.is_set():
        raise Cancelled
