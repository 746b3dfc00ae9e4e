"""Keeps the memory of duplicate ids small and quick: files recent ids, folds what was filed, forgets what is old.

`seen` takes new ids as they come, and is quick only while it is small. So its ids are *filed*: written into a segment
for each day of receipt, sorted, with a filter over them. Segments are registered once they are on disk, and only then
do their ids leave `seen`. Filters are *folded*: two of about one size become one over the segments of both, and
segments of one day become one. So 100 million ids have five filters on average, and eleven at most.

Between any two steps this may be killed: a file that is not registered is removed, and a segment whose ids did not all
leave `seen` is found by its mark. No transaction takes more than `SLICE` ids, and between them others get the lock.
One process does this to a spool: the one that holds the home's `loader` lock.
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

# So many ids in `seen` cost a tenth of the speed that an empty one has.
RECENT = 1 << 16
# A spool of before has all of its ids in `seen`: they are filed in such portions, which a kill does not undo.
PORTION = 1 << 20
SLICE = 500
WAIT_SECONDS = 1.0
FORGET_SECONDS = 3600.0
# How long to leave the lock, and the interpreter, to others, in terms of how long we had it.
REST = 3.0

log = logging.getLogger("pharos.compaction")


class Stopped(Exception):
    """It is to end before all is done; what is half written was removed."""


class Compactor:
    """Works on one spool, step by step."""

    def __init__(self, spool: Spool, stop: threading.Event | None = None) -> None:
        self._spool = spool
        self._memory = spool.duplicates
        self._stop = stop or threading.Event()
        self._forgot_at = float("-inf")
        self._began = time.monotonic()

    def run(self) -> None:
        """Keep at it until stopped; whatever fails is tried again."""
        while not self._stop.is_set():
            try:
                more = self.step()
            except Stopped:
                return
            except Exception as error:
                log.warning("the memory of duplicates waits: %s", error, exc_info=not isinstance(error, Unavailable))
                more = False
            if not more:
                self._stop.wait(WAIT_SECONDS)

    def step(self) -> bool:
        """Do what is most urgent; returns whether there may be more to do at once. Raises `Unavailable`, `OSError`."""
        if self.clear():
            return True
        if time.monotonic() - self._forgot_at >= FORGET_SECONDS:
            self.forget()
            self._forgot_at = time.monotonic()
        return self.file() or self.fold()

    def forget(self) -> None:
        """Forget the ids that were received before the horizon."""
        today = self._spool.days.today()
        oldest = today - HORIZON_DAYS
        self._register(gone=[segment for segment in self._current() if segment.day < oldest])
        sweep(self._spool)
        for ids in self._recent("day < ?", oldest):
            self._change("DELETE FROM seen", ids)
        # A day to come is that of a clock that was wrong: such an id would stay for long, or for ever.
        for ids in self._recent("day > ?", today):
            self._change("UPDATE seen SET day = (SELECT day FROM memory)", ids)

    def _recent(self, condition: str, day: int) -> Iterator[list[bytes]]:
        """Ids in `seen`, in slices; to look for them takes no lock."""
        after = b""
        sql = f"SELECT id FROM seen WHERE id > ? AND {condition} ORDER BY id LIMIT ?"  # noqa: S608
        while found := self._spool.db.execute(sql, (after, day, SLICE)).fetchall():
            yield [id for (id,) in found]
            ((after,),) = found[-1:]

    def file(self) -> bool:
        """File what is in `seen`, if that is much; returns whether it was."""
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
        sync_folder(self._memory.folder.parent)  # each time: one that was made before a kill may not be on disk

    def clear(self) -> bool:
        """Take the ids that were filed out of `seen`; returns whether there were any."""
        filed = [segment for segment in self._current() if not segment.cleared]
        if not filed:
            return False
        ids = merge(*(self._memory.ids(segment) for segment in filed))
        while batch := list(islice(ids, SLICE)):
            self._change("DELETE FROM seen", batch)
        with self._spool.transaction():
            self._spool.db.executemany("UPDATE segments SET cleared = 1 WHERE name = ?", [(s.name,) for s in filed])
            self._spool.db.execute("UPDATE memory SET generation = generation + 1")
        return True

    def fold(self) -> bool:
        """Fold filters of one size, if there are enough of them; returns whether there were."""
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
        """Put segments in the place of others, and `kept` ones under a new filter."""
        if not (made or gone or kept):
            return
        db = self._spool.db
        with self._spool.transaction():
            db.executemany("DELETE FROM segments WHERE name = ?", [(each.name,) for each in gone])
            db.executemany("UPDATE segments SET filter = ? WHERE name = ?", [(filter, each.name) for each in kept])
            db.executemany(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?)",
                [(each.name, each.day, each.ids, each.filter, each.cleared) for each in made],
            )
            db.execute("UPDATE memory SET generation = generation + 1")

    def _change(self, change: str, ids: list[bytes]) -> None:
        """Change a slice of `seen`, then let others have the lock."""
        marks = ",".join("?" * len(ids))
        self._began = time.monotonic()
        with self._spool.transaction():
            self._spool.db.execute(f"{change} WHERE id IN ({marks})", ids)
        self._rest()

    def _rest(self) -> None:
        if self._stop.wait(REST * (time.monotonic() - self._began)):
            raise Stopped
        self._began = time.monotonic()

    def _rest_and_file(self) -> None:
        """Folding may take minutes, and `seen` has to stay small meanwhile."""
        self._rest()
        if not self.clear():
            self.file()
        self._began = time.monotonic()


def to_fold(sizes: dict[str, int]) -> set[str]:
    """The filters, of so many ids each, that are to become one: the smallest ones of which several have about a size.

    More of them at once would be rewritten less often, and there would be more of them to look into.
    """
    alike: dict[int, set[str]] = {}
    for name, ids in sizes.items():
        alike.setdefault((ids // RECENT).bit_length(), set()).add(name)
    return next((alike[size] for size in sorted(alike) if len(alike[size]) > 1), set())


def start(path: Path, stop: threading.Event) -> threading.Thread:
    """A thread that keeps at it until `stop` is set."""

    def run() -> None:
        while not stop.is_set():
            try:
                with closing(Spool(path)) as spool:
                    Compactor(spool, stop).run()
            except sqlite3.Error as error:
                log.warning("the memory of duplicates waits: %s", error)
                stop.wait(WAIT_SECONDS)

    thread = threading.Thread(target=run, name="compaction", daemon=True)
    thread.start()
    return thread
