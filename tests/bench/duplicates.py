"""Measure the memory of duplicate ids: beacons per second by number of ids, and the longest lock of its upkeep.

    python -m tests.bench.duplicates [IDS]

Each spool has at most IDS ids (100 million), stored as 30 days of filing and folding leave them, with the table of
recent ids full. The spools take turns, so that other load on the machine affects all of them alike.

The longest locks are printed as wall time and CPU time. `a pause` is the longest delay of an idle process that wakes up
every millisecond meanwhile: the machine itself delays a lock by that much, whatever the code does.
"""

import os
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from collector.compaction import RECENT, Compactor
from collector.spool import HORIZON_DAYS, Row, Spool
from collector.spool.days import DAY
from collector.spool.segments import WIDTH, Ids, Segment, open_ids, write

COUNTS = (0, 1_000_000, 10_000_000, 100_000_000)
SCRATCH = Path("build")  # 1.9 GB on the disk: where /tmp is in memory, a commit costs no write
ROUNDS = 60
COMMITS = 25
PER_COMMIT = 16
USAGE, LICENSE = b"u" * 330, b"l" * 330
LONGEST_MS = 50.0
PAUSE_SECONDS = 0.001


class Uptime:
    """A boot clock that the benchmark sets."""

    def __init__(self) -> None:
        self.seconds = 90.0 * DAY

    def __call__(self) -> tuple[str, float]:
        return "bench", self.seconds


class Pauses:
    """The longest time in ms by which a process that only sleeps wakes up too late, within a `with` block."""

    def __enter__(self) -> "Pauses":
        self.longest_ms = 0.0
        self._ours, theirs = Pipe()
        Process(target=_pauses, args=(theirs,), daemon=True).start()
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.send("end")
        self.longest_ms = self._ours.recv()


def _pauses(pipe: Connection) -> None:
    pipe.send("began")
    longest = 0.0
    while not pipe.poll():
        began = time.perf_counter()
        time.sleep(PAUSE_SECONDS)
        longest = max(longest, time.perf_counter() - began - PAUSE_SECONDS)
    pipe.send(longest * 1000)


def main() -> None:
    """Fill, take turns, forget, and print the table."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else COUNTS[-1]
    clock = Uptime()
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        spools = {count: filled(Path(folder, f"{count}.sqlite"), clock, count) for count in COUNTS if count <= most}
        rates: dict[int, list[float]] = {count: [] for count in spools}
        for _ in range(ROUNDS):
            for count, spool in spools.items():
                rates[count].append(rate(spool))
        print(f"{'':52}{'longest lock in ms, wall (CPU)':>48}{'longest':>12}")
        print(f"{'ids remembered':>16}{'beacons/s':>12}{'to none':>10}{'opens in ms':>14}", end="")
        print(f"{'forgetting':>16}{'filing':>16}{'a commit':>16}{'pause in ms':>12}")
        for count, spool in spools.items():
            speed = statistics.median(rates[count])
            ratio = statistics.median(one / none for one, none in zip(rates[count], rates[0], strict=True))
            print(f"{count:16,}{speed:12,.0f}{ratio:10.2f}{opening(spool, clock):14.1f}", end="", flush=True)
            compactor = Compactor(spool)
            filing = longest(spool, compactor.file)
            commits = longest(spool, partial(ordinary, spool))
            spool.db.executemany("INSERT INTO seen VALUES (?, 1)", [(os.urandom(WIDTH),) for _ in range(RECENT)])
            clock.seconds += HORIZON_DAYS / 2 * DAY
            with Pauses() as pauses:
                forgetting = longest(spool, compactor.forget)
            clock.seconds -= HORIZON_DAYS / 2 * DAY
            late = "" if forgetting[0] < LONGEST_MS else f"  over {LONGEST_MS:.0f} ms"
            locks = "".join(f"{f'{wall:.1f} ({cpu:.1f})':>16}" for wall, cpu in (forgetting, filing, commits))
            print(f"{locks}{pauses.longest_ms:12.1f}{late}", flush=True)
            spool.close()


def filled(path: Path, clock: Uptime, count: int) -> Spool:
    """Return a spool that has `count` ids, as 30 days of filing and folding leave them."""
    spool = Spool(path, clock)
    if not count:
        return spool
    folder = spool.duplicates.folder
    folder.mkdir()
    today = spool.days.today()
    per_day = -(-count // HORIZON_DAYS)
    done = 0
    for size in sizes(count - RECENT):
        segments: list[Segment] = []
        ids: list[Ids] = []
        while size:
            day, left = done // per_day, per_day - done % per_day
            number = min(left, size)
            name = f"{today - HORIZON_DAYS + day}-{done}"
            with (folder / f"{name}.ids").open("wb") as file:
                for piece in sorted_ids(number):
                    file.write(piece)
            segments.append(Segment(name, today - HORIZON_DAYS + day, number, "", cleared=True))
            ids.append(open_ids(folder, segments[-1]))
            done, size = done + number, size - number
        filter, _ = write(folder, {}, ids, lambda: None)
        with spool.transaction():
            spool.db.executemany(
                "INSERT INTO segments VALUES (?, ?, ?, ?, 1)",
                [(each.name, each.day, each.ids, filter) for each in segments],
            )
    with spool.transaction():
        spool.db.executemany(
            "INSERT INTO seen VALUES (?, ?)",
            [(os.urandom(WIDTH), today - number % 2) for number in range(RECENT)],
        )
        spool.db.execute("UPDATE memory SET generation = 1")
    return spool


def sizes(count: int) -> Iterator[int]:
    """Yield the number of ids of each filter, from old to new. Each size class has one filter, as after folding."""
    units, rest = divmod(count, RECENT)
    for power in reversed(range(0, units.bit_length(), 3)):
        if number := units >> power & 7:
            yield number * RECENT << power
    if rest:
        yield rest


def sorted_ids(count: int) -> Iterator[bytes]:
    """Yield `count` random ids in order, in pieces."""
    for first in range(256):
        number = count * (first + 1) // 256 - count * first // 256
        rest = sorted(one for (one,) in struct.iter_unpack("15s", os.urandom(15 * number)))
        yield b"".join(bytes([first]) + one for one in rest)


def longest(spool: Spool, work: Callable[[], object]) -> tuple[float, float]:
    """Return the longest time in ms for which `work` holds the spool's lock, and the longest CPU time in it."""
    real, held, busy = spool.transaction, [0.0], [0.0]

    @contextmanager
    def timed() -> Iterator[None]:
        with real():
            began, cpu = time.perf_counter(), time.thread_time()
            yield
        held.append((time.perf_counter() - began) * 1000)
        busy.append((time.thread_time() - cpu) * 1000)

    spool.db.execute("PRAGMA wal_autocheckpoint = 0")  # SQLite does that after it has released the lock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "transaction", timed)
        work()
    return max(held), max(busy)


def row() -> Row:
    """Return a new beacon of about 1 KB."""
    return Row(os.urandom(WIDTH), USAGE, LICENSE)


def opening(spool: Spool, clock: Uptime) -> float:
    """Return how long a process needs to open the spool and store its first beacon, in ms."""
    began = time.perf_counter()
    again = Spool(spool.path, clock)
    assert again.store([row()], time.time()) == [True]
    took = (time.perf_counter() - began) * 1000
    again.close()
    return took


def ordinary(spool: Spool) -> None:
    """Commit small changes."""
    for moment in range(200):
        spool.note_fresh(moment)


def rate(spool: Spool) -> float:
    """Return the beacons per second in commits of 16."""
    commits = [[row() for _ in range(PER_COMMIT)] for _ in range(COMMITS)]
    began = time.perf_counter()
    for rows in commits:
        spool.store(rows, time.time())
    return COMMITS * PER_COMMIT / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
