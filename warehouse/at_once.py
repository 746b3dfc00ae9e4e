"""Runs the parts of a question that do not need each other two at a time.

ClickHouse answers a statement about some hundred thousand rows with one thread as soon as with two, and takes less CPU
for it. So each of two statements gets half of its threads (`warehouse/limited_engine.py`).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

MOST = 2
# How many parts of the question run at the same time as what runs in this context, itself included.
PARTS: ContextVar[int] = ContextVar("parts", default=1)


def at_once(*parts: Callable[[], Any]) -> list[Any]:
    """Return what the parts return, in their order. Raises what the first of them raises, when none runs any more.

    All is done soonest if the parts that take longest come first.
    """

    def run(part: Callable[[], Any]) -> Any:
        PARTS.set(MOST)
        return part()

    with ThreadPoolExecutor(MOST, thread_name_prefix="part") as threads:
        # The context says whose question it is, and whether they still wait.
        running = [threads.submit(copy_context().run, run, part) for part in parts]
        try:
            return [each.result() for each in running]
        finally:
            threads.shutdown(cancel_futures=True)
