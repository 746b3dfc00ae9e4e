"""Compacts the memory of duplicate ids, to keep it small and fast.

The table `seen` receives new ids, and is fast only while it is small. Compaction has three steps:

- It *files* the ids of `seen`: it writes them, sorted, into one segment for each day of receipt, with a filter over
  these segments. It registers the segments once they are on disk, and only then deletes their ids from `seen`.
- It *folds* filters: filters of similar size become one filter over all their segments, and segments of one day become
  one segment. So 100 million ids have five filters at most.
- It *forgets* the ids that are older than the horizon.

A kill between any two steps is safe: unregistered files are removed later, and `cleared` marks the segments whose ids
have all left `seen`. No transaction changes more than `SLICE` ids. Each releases the lock to other writers before it is
synced, and they keep it for a while. Only one process compacts a spool: the holder of the home's `loader` lock.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from heapq import merge
from itertools import islice
from mmap import MADV_SEQUENTIAL
from pathlib import Path

from collector.spool import HORIZON_DAYS, Spool, Unavailable
from collector.spool.duplicates import sweep
from collector.spool.segments import WIDTH, Ids, Segment, open_ids, write
from core.home import sync_folder

# With this many ids, `seen` has 0.95 of the speed of an empty table. With four times as many it has nine tenths.
RECENT = 1 << 14
# An older spool has all of its ids in `seen`. They are filed in portions of this size, and a kill loses at most one.
PORTION = 1 << 20
SLICE = 500
WAIT_SECONDS = 1.0
FORGET_SECONDS = 3600.0
# How long to release the lock and the interpreter, as a multiple of how long they were held.
REST = 3.0

log = logging.getLogger("pharos.compaction")


class Stopped(Exception):
    """Compaction was stopped before it was complete. Incomplete files are removed."""


class Compactor:
    """Compacts one spool, step by step."""

    def __init__(self, spool: Spool, stop: threading.Event | None = None) -> None:
        self._spool = spool
        self._memory = spool.duplicates
        self._stop = stop or threading.Event()
        self._forgot_at = float("-inf")
        self._began = time.monotonic()

    def run(self) -> None:
        """Run steps until stopped. A failed step is logged and retried."""
        while not self._stop.is_set():
            try:
                more = self.step()
            except Stopped:
                return
            except Exception as error:
                log.warning("compaction failed, will retry: %s", error, exc_info=not isinstance(error, Unavailable))
                more = False
            if not more:
                self._stop.wait(WAIT_SECONDS)

    def step(self) -> bool:
        """Run the most urgent step; returns whether another may be due immediately. Raises `Unavailable`, `OSError`."""
        if self.clear():
            return True
        if time.monotonic() - self._forgot_at >= FORGET_SECONDS:
            self.forget()
            self._forgot_at = time.monotonic()
        return self.file() or self.fold()

    def forget(self) -> None:
        """Delete the ids that were received before the horizon."""
        today = self._spool.days.today()
        oldest = today - HORIZON_DAYS
        self._register(gone=[segment for segment in self._current() if segment.day < oldest])
        sweep(self._spool)
        for ids in self._recent("day < ?", oldest):
            self._change("DELETE FROM seen", ids)
        # An id with a future day comes from a wrong clock. It would stay for too long, or forever.
        for ids in self._recent("day > ?", today):
            self._change("UPDATE seen SET day = (SELECT day FROM memory)", ids)

    def _recent(self, condition: str, day: int) -> Iterator[list[bytes]]:
        """Yield ids in `seen`, in slices. The search takes no lock."""
        after = b""
        sql = f"SELECT id FROM seen WHERE id > ? AND {condition} ORDER BY id LIMIT ?"  # noqa: S608
        while found := self._spool.db.execute(sql, (after, day, SLICE)).fetchall():
            yield [id for (id,) in found]
            ((after,),) = found[-1:]

    def file(self) -> bool:
        """File the ids in `seen` if it has at least `RECENT`; returns whether it did."""
        db = self._spool.db
        if db.execute("SELECT count(*) FROM (SELECT 1 FROM seen LIMIT ?)", (RECENT,)).fetchone()[0] < RECENT:
            return False
        self._spool.check_space(2 * WIDTH * PORTION)
        today = self._spool.days.today()
        days: dict[int, bytearray] = {}
        after, left = b"", PORTION
        while left > 0:
            found = db.execute("SELECT id, day FROM seen WHERE id > ? ORDER BY id LIMIT ?", (after, SLICE)).fetchall()
            for id, day in found:
                days.setdefault(min(day, today), bytearray()).extend(id)
            if len(found) < SLICE:
                break
            after, left = found[-1][0], left - len(found)
            self._rest()
        self._make_folder()
        _, made = write(self._memory.folder, {day: [Ids(bytes(ids))] for day, ids in days.items()}, [], self._rest)
        self._register(made)
        self.clear()
        return True

    def _make_folder(self) -> None:
        self._memory.folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(self._memory.folder.parent)  # each time: after a kill, an existing folder may not be on disk yet

    def clear(self) -> bool:
        """Delete the filed ids from `seen`; returns whether a segment still had any."""
        filed = [segment for segment in self._current() if not segment.cleared]
        if not filed:
            return False
        ids = merge(*(self._memory.ids(segment) for segment in filed))
        while batch := list(islice(ids, SLICE)):
            self._change("DELETE FROM seen", batch)
        with self._spool.unlocked_sync(), self._spool.transaction():
            self._spool.db.executemany("UPDATE segments SET cleared = 1 WHERE name = ?", [(s.name,) for s in filed])
            self._spool.db.execute("UPDATE memory SET generation = generation + 1")
        return True

    def fold(self) -> bool:
        """Fold the filters that `to_fold` selects; returns whether it selected any."""
        segments = self._current()
        sizes: dict[str, int] = {}
        for segment in segments:
            sizes[segment.filter] = sizes.get(segment.filter, 0) + segment.ids
        chosen = to_fold(sizes)
        if not chosen:
            return False
        days: dict[int, list[Segment]] = {}
        for segment in segments:
            if segment.filter in chosen:
                days.setdefault(segment.day, []).append(segment)
        self._spool.check_space(2 * WIDTH * sum(sizes[name] for name in chosen))
        several = {day: found for day, found in days.items() if len(found) > 1}
        kept = [found[0] for found in days.values() if len(found) == 1]
        folder = self._memory.folder
        filter, made = write(
            folder,
            {day: [open_ids(folder, each, MADV_SEQUENTIAL) for each in found] for day, found in several.items()},
            [open_ids(folder, each, MADV_SEQUENTIAL) for each in kept],
            self._rest_and_file,
        )
        self._register(
            [replace(each, cleared=True) for each in made],
            gone=[each for found in several.values() for each in found],
            kept=kept,
            filter=filter,
        )
        sweep(self._spool)
        return True

    def _current(self) -> list[Segment]:
        self._memory.refresh()
        return self._memory.segments

    def _register(
        self,
        made: Sequence[Segment] = (),
        *,
        gone: Sequence[Segment] = (),
        kept: Sequence[Segment] = (),
        filter: str = "",
    ) -> None:
        """Replace the segments `gone` with `made`, and assign `kept` to a new filter."""
        if not (made or gone or kept):
            return
        db = self._spool.db
        with self._spool.unlocked_sync(), self._spool.transaction():
            db.executemany("DELETE FROM segments WHERE name = ?", [(each.name,) for each in gone])
            db.executemany("UPDATE segments SET filter = ? WHERE name = ?", [(filter, each.name) for each in kept])
            db.executemany(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?)",
                [(each.name, each.day, each.ids, each.filter, each.cleared) for each in made],
            )
            db.execute("UPDATE memory SET generation = generation + 1")

    def _change(self, change: str, ids: list[bytes]) -> None:
        """Change a slice of `seen`, then release the lock to other writers for a while."""
        marks = ",".join("?" * len(ids))
        self._began = time.monotonic()
        with self._spool.unlocked_sync(), self._spool.transaction():
            self._spool.db.execute(f"{change} WHERE id IN ({marks})", ids)
        self._rest()

    def _rest(self) -> None:
        if self._stop.wait(REST * (time.monotonic() - self._began)):
            raise Stopped
        self._began = time.monotonic()

    def _rest_and_file(self) -> None:
        """Rest, and file new ids: folding may take minutes, and `seen` must stay small meanwhile."""
        self._rest()
        if not self.clear():
            self.file()
        self._began = time.monotonic()


def to_fold(sizes: dict[str, int]) -> set[str]:
    """Return the names of the filters to fold: all of the smallest size class that has more than one.

    `sizes` has the number of ids of each filter. A class ends at eight times the size at which it begins. Narrower
    classes would cause fewer rewrites, but each lookup would read more filters.
    """
    alike: dict[int, set[str]] = {}
    for name, ids in sizes.items():
        alike.setdefault(-(-(ids // RECENT).bit_length() // 3), set()).add(name)
    return next((alike[size] for size in sorted(alike) if len(alike[size]) > 1), set())


def start(path: Path, stop: threading.Event) -> threading.Thread:
    """Start a thread that compacts the spool until `stop` is set."""

    def run() -> None:
        while not stop.is_set():
            try:
                with closing(Spool(path)) as spool:
                    Compactor(spool, stop).run()
            except sqlite3.Error as error:
                log.warning("compaction failed, will retry: %s", error)
                stop.wait(WAIT_SECONDS)

    thread = threading.Thread(target=run, name="compaction", daemon=True)
    thread.start()
    return thread
