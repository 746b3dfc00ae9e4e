"""Judges whether memory, descriptors and threads of processes grow over time, from samples of /proc."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median

MEASURES = ("rss", "fds", "threads")
# A kind is flat when the median of its last quarter is at most this many times that of its second quarter, plus this.
# The second: in the first all that fills once (caches, pools, modules loaded at the first request) is still filling.
TIMES = 1.25
PLUS = {"rss": 32 << 10, "fds": 8, "threads": 8}  # KiB of memory; numbers


@dataclass(frozen=True)
class Sample:
    """A process at one moment: seconds since the start, what it is, resident memory in KiB, descriptors, threads."""

    at: float
    kind: str
    pid: int
    rss: int
    fds: int
    threads: int


Quarters = tuple[float | None, float | None, float | None, float | None]


@dataclass(frozen=True)
class Course:
    """One measure of one kind of process: medians by quarter of all processes, and of the oldest one.

    `per_hour` is the growth of the oldest one per hour, from the second quarter on.
    """

    kind: str
    measure: str
    processes: int
    quarters: Quarters
    oldest: Quarters
    per_hour: float

    @property
    def flat(self) -> bool:
        """Return whether neither the kind nor its oldest process grew from the second quarter to the last.

        A kind that is missing in one of these quarters is not flat. A missing oldest process is not judged.
        """
        return self._held(self.quarters, unseen=False) and self._held(self.oldest, unseen=True)

    def _held(self, quarters: Quarters, *, unseen: bool) -> bool:
        _, second, _, last = quarters
        return unseen if second is None or last is None else last <= TIMES * second + PLUS[self.measure]


def sample(at: float, kind: str, pid: int) -> Sample | None:
    """Return a sample of a process, or None if it is gone."""
    with suppress(OSError, KeyError):
        folder = Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        fds = len(os.listdir(folder / "fd"))
        return Sample(at, kind, pid, int(status["VmRSS"].split()[0]), fds, int(status["Threads"]))
    return None


def courses(samples: Iterable[Sample], seconds: float) -> list[Course]:
    """Return the courses of each kind over `seconds`."""
    found: dict[str, list[Sample]] = {}
    for one in samples:
        found.setdefault(one.kind, []).append(one)
    return [_course(kind, measure, found[kind], seconds) for kind in sorted(found) for measure in MEASURES]


def _course(kind: str, measure: str, samples: list[Sample], seconds: float) -> Course:
    pids = [one.pid for one in samples]
    oldest = [one for one in samples if one.pid == max(set(pids), key=pids.count)]
    calm = [(one.at, getattr(one, measure)) for one in oldest if one.at >= seconds / 4]
    slope = linear_regression(*zip(*calm, strict=True)).slope if len({at for at, _ in calm}) > 1 else 0.0
    quarters, of_oldest = (_medians(some, measure, seconds) for some in (samples, oldest))
    return Course(kind, measure, len(set(pids)), quarters, of_oldest, slope * 3600)


def _medians(samples: list[Sample], measure: str, seconds: float) -> Quarters:
    quarters: list[list[int]] = [[], [], [], []]
    for one in samples:
        quarters[min(3, int(4 * one.at / seconds))].append(getattr(one, measure))
    first, second, third, last = (float(median(quarter)) if quarter else None for quarter in quarters)
    return first, second, third, last


def table(courses: Iterable[Course]) -> str:
    """Return the courses as a table: medians by quarter, and the growth of the oldest process."""
    head = "".join(f"{word:>9}" for word in ("seen", "1st", "2nd", "3rd", "last", "oldest:", "2nd", "last", "an hour"))
    lines = [f"{'':26}{head}"]
    for one in courses:
        scale, unit = (1024, "MiB") if one.measure == "rss" else (1, one.measure)
        of_all, of_oldest = (
            "".join(f"{'-' if each is None else f'{each / scale:.1f}':>9}" for each in quarters)
            for quarters in (one.quarters, (one.oldest[1], one.oldest[3]))
        )
        verdict = "" if one.flat else "  GROWS" if None not in one.quarters else "  NOT SEEN"
        name = f"{one.kind}, {unit}"
        lines.append(f"{name:26}{one.processes:>9}{of_all}{'':9}{of_oldest}{one.per_hour / scale:>+9.1f}{verdict}")
    return "\n".join(lines)
