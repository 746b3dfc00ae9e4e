"""Runs `pharos` commands as processes with their own homes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import command

PHAROS = [sys.executable, "-m", "pharos"]


def environment(home: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return our environment with only these settings of Pharos."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PHAROS_")}
    return {**ours, "PHAROS_HOME": str(home), **settings}


def pharos(home: Path, *words: str, given: bytes = b"", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return its result. `given` is its standard input."""
    done = command(words, environment(home, settings), given)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
