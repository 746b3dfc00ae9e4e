"""Processes for work that opens ClickHouse: chDB must not be forked, and has one owner.

They are forked from a process that has imported what they need, but not chDB: the imports take longer than most work.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import ForkServerProcess
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")
CONTEXT = multiprocessing.get_context("forkserver")
_imported = ["pytest", "collector.loader", "warehouse.migrate"]


def imported_before(*modules: str) -> None:
    """Import these modules, too, before the first process is forked."""
    _imported.extend(modules)
    CONTEXT.set_forkserver_preload(_imported)


def apart(work: Callable[Given, Result], seconds: float, *given: Given.args, **named: Given.kwargs) -> Result:
    """Return the result of `work`, run in a new process with our environment."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT, initializer=be_in, initargs=(dict(os.environ),)) as pool:
        return pool.submit(work, *given, **named).result(seconds)


def process(work: Callable[..., object], *given: object) -> ForkServerProcess:
    """Return a process for `work` with our environment. It is not started."""
    return CONTEXT.Process(target=_work, args=(dict(os.environ), work, given))


def _work(environment: dict[str, str], work: Callable[..., object], given: tuple[object, ...]) -> None:
    be_in(environment)
    work(*given)


def be_in(environment: dict[str, str]) -> None:
    """Take over an environment: that of the process of which all others are forked is of its start."""
    os.environ.clear()
    os.environ.update(environment)


imported_before()
