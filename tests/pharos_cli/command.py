"""The command line as a process of its own, on a home of its own."""

import os
import subprocess
import sys
from pathlib import Path

PHAROS = [sys.executable, "-m", "pharos"]


def environment(home: Path, settings: dict[str, str]) -> dict[str, str]:
    """Our environment with these settings and no others."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PHAROS_")}
    return {**ours, "PHAROS_HOME": str(home), **settings}


def pharos(home: Path, *words: str, given: bytes = b"", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `given` is its standard input."""
    done = subprocess.run(
        [*PHAROS, *words], input=given, capture_output=True, env=environment(home, settings), timeout=60, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
