"""Run pytest, and once more what failed if that says nothing of Pharos yet.

Tests count by the day on which they began: what failed runs again if a day of UTC ended meanwhile. In CI, which shares
its machine, up to FEW failed tests run again too, and the last lines name them: one that then passes is a defect that
waits for its mender.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

FAILED = 1
"""The exit status of pytest when tests ran and some of them failed."""

FEW = 3


def today() -> date:
    """The day of UTC."""
    return datetime.now(UTC).date()


def run(arguments: Sequence[str], *, day: Callable[[], date] = today, few: int = 0) -> int:
    """Run pytest with these arguments. Return its exit status, that of the second run where there was one."""
    begun = day()
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
        status = subprocess.run(command, check=False).returncode
        if status != FAILED:
            return status
        failed = json.loads(Path(cache, "v/cache/lastfailed").read_bytes())
        ended = day() != begun
        if not ended and len(failed) > few:
            return status
        print(f"== {begun} ended during the tests: those that failed run again" if ended else "== failed, run again:")
        print(*failed, sep="\n", flush=True)
        return subprocess.run([*command, "--last-failed"], check=False).returncode


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], few=FEW if os.environ.get("CI") else 0))
