"""Run the benchmarks and print a page of what they say: `python -m tests.bench [NAME ...]`.

`make bench` writes the page to docs/performance.md. With CLICKHOUSE_URL on a server, it is measured beside the embedded
engine. Each part is a command of its own.
"""

import importlib
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from inspect import getdoc
from pathlib import Path

# Module and arguments, in the order of the page.
PARTS = {
    "ingestion": "Taking beacons",
    "clickhouse_posts": "Posting to ClickHouse itself",
    "drain": "Loading beacons",
    "duplicates 10000000": "The memory of duplicates",
    "decisions": "Decisions of owners",
    "figures 10": "Figures",
    "judging": "Licensing rules",
    "cases": "The licensing desk",
    "rights": "Owners' requests",
    "start": "Start",
    "php_page": "A page of the host",
    "php_outage": "A host without a collector",
}
_INTRODUCTION = """# Performance

`make bench` measures this and writes this page: here in {minutes} minutes on {date}, at commit {commit}, on {machine}.
The load was {load} when it began. What else the machine does changes CPU times little, and other times much.
"""


def main() -> None:
    """Print the page of all parts, or of those that are named."""
    began, load = time.monotonic(), os.getloadavg()[0]
    wanted = sys.argv[1:] or [part.split()[0] for part in PARTS]
    sections = [_section(part, title) for part, title in PARTS.items() if part.split()[0] in wanted]
    print(
        _INTRODUCTION.format(
            minutes=round((time.monotonic() - began) / 60),
            date=datetime.now(UTC).date(),
            commit=_said("git", "rev-parse", "--short", "HEAD"),
            machine=f"{os.cpu_count()} cores of {_processor()}, Python {platform.python_version()}",
            load=f"{load:.1f}",
        ),
        *sections,
        sep="\n",
        end="",
    )


def _section(part: str, title: str) -> str:
    name, *arguments = part.split()
    print(f"{title} ...", file=sys.stderr, flush=True)
    about = (getdoc(importlib.import_module(f"tests.bench.{name}")) or "").partition("\n\n")[0].replace("\n", " ")
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{name}", *arguments], stdout=subprocess.PIPE, check=False
    )
    ended = f"\nended with status {done.returncode}\n" if done.returncode else ""
    return f"## {title}\n\n`python -m tests.bench.{part}`: {about}\n\n```text\n{done.stdout.decode()}{ended}```\n"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "a processor")


def _said(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
