"""Run the benchmarks and print a page of what they say: `python -m tests.bench [NAME ...]`.

`make bench` writes the page to docs/performance.md. With CLICKHOUSE_URL on a server, it is measured beside the embedded
engine. Each part is a command of its own.
"""

import importlib
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import getdoc
from pathlib import Path

# Module and arguments, in the order of the page.
PARTS = {
    "ingestion": "Taking beacons",
    "steps": "The steps of a beacon",
    "clickhouse_posts": "Posting to ClickHouse itself",
    "drain": "Loading beacons",
    "duplicates 10000000": "The memory of duplicates",
    "decisions": "Decisions of owners",
    "figures 10": "Figures",
    "pages": "Pages",
    "judging": "Licensing rules",
    "cases": "The licensing desk",
    "rights": "Owners' requests",
    "start": "Start",
    "php_page": "A page of the host",
    "php_outage": "A host without a collector",
}


@dataclass(frozen=True)
class Goal:
    """What a figure of the page should be: at most `limit`, or at least if `more`. `figure` finds it in the page."""

    what: str
    limit: float
    unit: str
    figure: str
    more: bool = False

    def row(self, page: str) -> str:
        """Return the row of the table of goals, or "" if the page does not have the figure."""
        found = re.search(self.figure, page)
        if found is None:
            return ""
        measured = sum(float(each.replace(",", "")) for each in found.groups() if each)
        met = measured >= self.limit if self.more else measured <= self.limit
        sign = "≥" if self.more else "≤"
        return f"| {self.what} | {sign} {self.limit:,g} {self.unit} | {measured:,.5g} | {'yes' if met else 'no'} |"


_BATCHED = r"Pharos, 100 beacons a request, \d+ clients +([\d,]+) +[\d.]+ +[\d.]+ +"
GOALS = (
    Goal("a beacon on disk, above the route that does nothing", 350, "µs of CPU", r"above the floor: (\d+)"),
    Goal("a beacon of a batch of 100", 40, "µs of CPU", _BATCHED.replace("(", "(?:") + r"(\d+)"),
    Goal("beacons in batches", 40_000, "a second", _BATCHED, more=True),
    Goal("more to be in ClickHouse, embedded", 30, "µs of CPU", r"beacons, embedded +[\d,]+ +(\d+)"),
    Goal("more to be in ClickHouse, loader and server", 30, "µs of CPU", r"beacons, server +[\d,]+ +(\d+) +(\d+)"),
    Goal("p99 at 32 clients", 100, "ms", r"Pharos, a beacon of 1 KB[^\n]+? clients +[\d,]+ +[\d.]+ +([\d.]+)"),
    Goal("p99 of 256 clients to that of 32", 1.5, "times", r"p99 of 256 clients to that of 32: ([\d.]+)"),
    Goal("a first visit to a page, with an empty cache", 1200, "kB", r"most of a first visit: ([\d,]+) kB"),
    Goal("figures of a first visit", 2000, "ms", r"longest until figures: ([\d,]+) ms"),
    Goal("p95 of a change of filters, what is in view", 500, "ms", r"p95 of \d+ changes, in view: ([\d,]+) ms"),
    Goal("p95 of a change of filters, the whole page", 500, "ms", r"p95 of \d+ changes, all of it: ([\d,]+) ms"),
    Goal("memory of a worker", 60, "MB", r"the most memory of a worker: (\d+)"),
    Goal("memory of the loader beside a server", 120, "MB", r"beacons, server[^\n]+? (\d+) MB"),
)
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
        *_goals("".join(sections)),
        *sections,
        sep="\n",
        end="",
    )


def _goals(page: str) -> list[str]:
    """Return the table of goals, nothing if the page has none of their figures."""
    rows = [row for goal in GOALS if (row := goal.row(page))]
    if not rows:
        return []
    head = "## Goals\n\nWhy some are missed: [decision 11](decisions/011-speed.md).\n\n"
    return [head + "\n".join(("| what | goal | measured | met |", "|---|---|---|---|", *rows)) + "\n"]


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
