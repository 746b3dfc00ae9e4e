"""Run pytest, and once more what failed if a day of UTC ended meanwhile: tests count by the day on which they began."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

FAILED = 1
"""The exit status of pytest when tests ran and some of them failed."""


def today() -> date:
    """The day of UTC."""
    return datetime.now(UTC).date()


def run(arguments: Sequence[str], day: Callable[[], date] = today) -> int:
    """Run pytest with these arguments. Return its exit status, that of the second run where there was one."""
    begun = day()
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
        status = subprocess.run(command, check=False).returncode
        if status != FAILED or day() == begun:
            return status
        print(f"== {begun} ended during the tests: those that failed run again", flush=True)
        return subprocess.run([*command, "--last-failed"], check=False).returncode


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
