"""Remembers duplicate ids: recent ids in the table `seen`, older ids in segments beside the spool's file.

`seen` must stay small: ids are random, so each new id changes a different page. `collector/compaction.py` moves ids
from `seen` into segments. The table `segments` lists the segments, and each change of it increments
`memory.generation`. At any moment an id is in `seen` or in a segment. To insert a beacon, a process

1. looks for its id in the segments of a generation,
2. inserts it on the condition that the generation is unchanged and that `seen` does not have the id.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from collector.spool.database import Database, Unavailable
from collector.spool.segments import (
    Damaged,
    Filter,
    Ids,
    Segment,
    filter_file,
    ids_file,
    open_filter,
    open_ids,
    places_and_bits,
)

# How many days a duplicate id is kept after its day of receipt.
HORIZON_DAYS = 30


class Duplicates:
    """The segments of one spool, as of `generation`. -1 means that they were not read yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.folder = folder_of(database.path)
        self.generation = -1
        self.segments: list[Segment] = []
        self._filters: dict[str, Filter] = {}
        self._ids: dict[str, Ids] = {}
        self._lookup: list[tuple[int, memoryview, list[Ids]]] = []

    def filed(self, ids: list[bytes]) -> set[bytes]:
        """Return the ids that are in a segment of `generation`. Raises `Unavailable`."""
        if self.generation < 0:
            self.refresh()
        if not self._lookup:
            return set()
        places = places_and_bits(ids)
        return {
            id
            for pairs, words, segments in self._lookup
            for id, place, first, second in places
            if words[at := (place * pairs >> 64) * 2] & first == first
            and words[at + 1] & second == second
            and any(id in segment for segment in segments)
        }

    def refresh(self) -> None:
        """Open the current segments. Raises `Unavailable`."""
        while self._database.db.execute("SELECT generation FROM memory").fetchone()[0] != self.generation:
            generation, segments = registered(self._database)
            try:
                self._open(segments)
            except (OSError, Damaged) as error:
                if registered(self._database)[0] != generation:
                    continue  # a segment was replaced and removed meanwhile
                raise Unavailable(f"the memory of duplicates cannot be read: {error}") from error
            self.generation = generation

    def _open(self, segments: list[Segment]) -> None:
        names = dict.fromkeys(segment.filter for segment in segments)
        filters = {name: self._filters.get(name) or open_filter(self.folder, name) for name in names}
        ids = {one.name: self._ids.get(one.name) or open_ids(self.folder, one) for one in segments}
        self.segments, self._filters, self._ids = segments, filters, ids
        self._lookup = [
            (filter.pairs, filter.words, [ids[one.name] for one in segments if one.filter == name])
            for name, filter in filters.items()
        ]

    def ids(self, segment: Segment) -> Ids:
        """Return the ids of one of `segments`."""
        return self._ids[segment.name]


def registered(database: Database) -> tuple[int, list[Segment]]:
    """Return the generation and its segments."""
    rows = database.db.execute(
        "SELECT generation, name, segments.day, ids, filter, cleared FROM memory LEFT JOIN segments "
        "ORDER BY segments.day DESC, name"
    ).fetchall()
    segments = [Segment(name, day, ids, filter, bool(cleared)) for _, name, day, ids, filter, cleared in rows if name]
    return int(rows[0][0]), segments


def files_of(path: Path) -> set[str]:
    """Return the names of the segment files that a spool's file needs. No other process may have that file open."""
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'segments'").fetchone():
            return set()  # a spool from before segments existed
        return files([Segment(*row) for row in db.execute("SELECT name, day, ids, filter, cleared FROM segments")])


def folder_of(path: Path) -> Path:
    """Return the folder of the segments of a spool's file."""
    return path.with_suffix(".duplicates")


def files(segments: list[Segment]) -> set[str]:
    """Return the names of the files that these segments need."""
    return {ids_file(one.name) for one in segments} | {filter_file(one.filter) for one in segments}


@contextmanager
def unlinking(spool: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock for removing segment files. Yields False if another process holds it and `wait` is False."""
    with spool.with_suffix(".lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def sweep(database: Database) -> None:
    """Remove the files that no segment needs, unless a backup is being made."""
    folder = folder_of(database.path)
    if not folder.exists():
        return
    with unlinking(database.path, wait=False) as ours:
        if ours:
            there = {path.name for path in folder.iterdir()}  # first, so that it contains no file registered later
            for name in there - files(registered(database)[1]):
                (folder / name).unlink(missing_ok=True)
