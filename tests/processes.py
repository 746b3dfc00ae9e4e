"""Processes for work that opens ClickHouse: chDB must not be forked, and has one owner.

They are forked from a process that has imported what they need, but not chDB: the imports take longer than most work.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import ParamSpec, TypeVar

from pharos import commands

Given = ParamSpec("Given")
Result = TypeVar("Result")
CONTEXT = multiprocessing.get_context("forkserver")
_imported = [
    "pytest",
    "collector.loader",
    "collector.rights.executor",
    "pharos.cli",
    *(f"pharos.commands.{path.stem}" for path in Path(commands.__path__[0]).glob("[!_]*.py")),
    "pharos.doctor",
    "warehouse.migrate",
]
# Standard input, output and error of a command.
STREAMS = ("stdin", "stdout", "stderr")


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


def command(
    words: tuple[str, ...], environment: dict[str, str], given: bytes = b"", seconds: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run a `pharos` command in a new process, as `python -m pharos` does; its standard input holds `given`.

    It has no Python to start and little to import. `subprocess.TimeoutExpired` is raised if it takes longer.
    """
    with tempfile.TemporaryDirectory(prefix="pharos-command-") as name:
        folder = Path(name)
        (folder / "stdin").write_bytes(given)
        run = CONTEXT.Process(target=_command, args=(folder, Path.cwd(), environment, words))
        run.start()
        run.join(seconds)
        if run.exitcode is None:
            run.kill()
            run.join()
            raise subprocess.TimeoutExpired(words, seconds)
        told = ((folder / stream).read_bytes() for stream in STREAMS[1:])
        return subprocess.CompletedProcess(words, run.exitcode, *told)


def _command(folder: Path, within: Path, environment: dict[str, str], words: tuple[str, ...]) -> None:
    for number, stream in enumerate(STREAMS):
        opened = os.open(folder / stream, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
        setattr(sys, stream, os.fdopen(number, "w" if number else "r", closefd=False))
    be_in(environment)
    os.chdir(within)
    tempfile.tempdir = None
    sys.argv = ["pharos", *words]
    try:
        runpy.run_module("pharos", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()


def _work(environment: dict[str, str], work: Callable[..., object], given: tuple[object, ...]) -> None:
    be_in(environment)
    work(*given)


def be_in(environment: dict[str, str]) -> None:
    """Take over an environment: that of the process of which all others are forked is of its start."""
    os.environ.clear()
    os.environ.update(environment)


imported_before()
