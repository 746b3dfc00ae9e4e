"""Files of duplicate ids: segments with the sorted ids of one day, and filters that exclude most ids quickly.

Both are written once and never changed, so any number of processes can map them and share the memory. Ids are 16 bytes
of a keyed hash, so the place of an id in a file can be calculated from its value.

NAME.ids      the ids, one after the other
NAME.filter   pairs of 64-bit words, in the order of the ids: an id sets four bits of each word of the pair at its place
"""

import contextlib
import mmap
import os
import secrets
import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import BinaryIO

from core.home import sync_folder

WIDTH = 16
# 26 bits for an id: a filter passes two or three of ten thousand ids that are in none of its files. Each of those costs
# a disk read for every file. With 16 bits it passed fifty, and the speed on a busy disk was a fifth lower.
IDS_PER_PAIR = 5
# Files are written in pieces of this many ids, to use little memory.
PIECE = 1 << 16
# How many ids a lookup reads on each side of the calculated place.
NEAR = 128
_PAIR = struct.Struct(">QQ")
_ID = struct.Struct(f"{WIDTH}s")
_TWO_BITS = tuple(1 << (number & 63) | 1 << (number >> 6) for number in range(1 << 12))


class Damaged(Exception):
    """A file is damaged. The message names it."""


class Ids:
    """Sorted ids, in a file or in memory."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self._data = data
        self._count = len(data) // WIDTH

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> bytes:
        return self._data[at * WIDTH : (at + 1) * WIDTH]

    def __contains__(self, id: bytes) -> bool:
        # Calculate the place twice: from the whole file, then from the id found there. The error of the second is the
        # root of the error of the first. 4 KB nearly always contain the place, in a tenth of the time of a search.
        value, count = int.from_bytes(id[:8]), self._count
        first = min(value * count >> 64, count - 1)
        near = first + ((value - int.from_bytes(self[first][:8])) * count >> 64)
        low, high = max(0, near - NEAR), min(count, near + NEAR)
        block = self.data(low, high)
        if low < high and (not low or block[:WIDTH] <= id) and (high == count or id <= block[-WIDTH:]):
            at = block.find(id)
            while at % WIDTH and at > 0:
                at = block.find(id, at + 1)
            return at >= 0
        at = self.place(id)
        return at < count and self[at] == id

    def place(self, id: bytes) -> int:
        """Return the number of smaller ids."""
        guess = int.from_bytes(id[:8]) * self._count >> 64
        spread = 4 * isqrt(self._count) + 16  # eight standard deviations
        low, high = max(0, guess - spread), min(self._count, guess + spread)
        if low and self[low - 1] >= id:
            low = 0
        if high < self._count and self[high] < id:
            high = self._count
        return bisect_left(self, id, low, high)

    def data(self, first: int, end: int) -> bytes:
        """Return the ids from `first` up to `end`, concatenated."""
        return self._data[first * WIDTH : end * WIDTH]

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, self._count, PIECE):
            for (id,) in _ID.iter_unpack(self.data(first, first + PIECE)):
                yield id


class Filter:
    """A Bloom filter over one or more segments: an id that does not pass is in none of them."""

    def __init__(self, data: mmap.mmap) -> None:
        self.words = memoryview(data).cast("Q")
        self.pairs = len(self.words) // 2


def places_and_bits(ids: list[bytes]) -> list[tuple[bytes, int, int, int]]:
    """Return for each id: id, place of its pair of words as a fraction of 2^64 of all pairs, bits of the two words."""
    return [
        (
            id,
            place,
            _TWO_BITS[rest & 4095] | _TWO_BITS[rest >> 12 & 4095],
            _TWO_BITS[rest >> 24 & 4095] | _TWO_BITS[rest >> 36 & 4095],
        )
        for id, (place, rest) in zip(ids, _PAIR.iter_unpack(b"".join(ids)), strict=True)
    ]


@dataclass(frozen=True)
class Segment:
    """A file of ids in the spool's list. `day` is their day of receipt; `cleared` is whether they have left `seen`."""

    name: str
    day: int
    ids: int
    filter: str
    cleared: bool


def ids_file(name: str) -> str:
    """Return the name of a segment's file."""
    return f"{name}.ids"


def filter_file(name: str) -> str:
    """Return the name of a filter's file."""
    return f"{name}.filter"


def open_ids(folder: Path, segment: Segment, use: int = mmap.MADV_RANDOM) -> Ids:
    """Open the ids of a segment. `use` is the hint for `madvise`. Raises `FileNotFoundError` and `Damaged`."""
    ids = Ids(_mapped(folder / ids_file(segment.name), use))
    if len(ids) != segment.ids:
        raise Damaged(f"{folder / ids_file(segment.name)} holds {len(ids)} ids instead of {segment.ids}")
    return ids


def open_filter(folder: Path, name: str) -> Filter:
    """Open a filter. Raises `FileNotFoundError` and `Damaged`."""
    return Filter(_mapped(folder / filter_file(name), mmap.MADV_WILLNEED))


def _mapped(path: Path, use: int) -> mmap.mmap:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size or size % WIDTH:
            raise Damaged(f"{path} is {size} bytes long")
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    mapped.madvise(use)
    return mapped


def write(
    folder: Path, merged: dict[int, list[Ids]], kept: list[Ids], rest: Callable[[], None]
) -> tuple[str, list[Segment]]:
    """Write a segment for each day of `merged`, and a filter over these and `kept`; returns its name and the segments.

    All files are on disk when this returns, and removed if it raises. It calls `rest` after each piece.
    """
    names = {day: secrets.token_hex(8) for day in merged}
    filter_name = secrets.token_hex(8)
    paths = [folder / ids_file(name) for name in names.values()] + [folder / filter_file(filter_name)]
    try:
        with contextlib.ExitStack() as stack:
            *files, filter = (stack.enter_context(_created(path)) for path in paths)
            days = list(zip(merged.values(), files, strict=True))
            for words in _pieces(days, kept):
                filter.write(words)
                rest()
            for file in (*files, filter):
                file.flush()
                os.fsync(file.fileno())
            sizes = [file.tell() // WIDTH for file in files]
        sync_folder(folder)
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    found = zip(names.items(), sizes, strict=True)
    return filter_name, [Segment(name, day, size, filter_name, cleared=False) for (day, name), size in found]


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def _pieces(days: list[tuple[list[Ids], BinaryIO]], kept: list[Ids]) -> Iterator["array[int]"]:
    """Write the ids of each day to its file, and yield the words of the filter, piece by piece in order."""
    sources = [source for group, _ in days for source in group] + kept
    total = sum(len(source) for source in sources)
    pieces = max(1, -(-total // PIECE))
    each = max(4, -(-total // (pieces * IDS_PER_PAIR)))
    begins = {id(source): 0 for source in sources}
    for piece in range(pieces):
        limit = -(-(piece + 1 << 64) // pieces)
        words = array("Q", bytes(16 * each))

        def take(source: Ids, limit: int = limit) -> bytes:
            first = begins[id(source)]
            end = begins[id(source)] = len(source) if limit >> 64 else source.place(limit.to_bytes(8) + bytes(8))
            return source.data(first, end)

        for group, file in days:
            taken = [take(source) for source in group]
            data = taken[0] if len(taken) == 1 else b"".join(sorted(one for (one,) in _ID.iter_unpack(b"".join(taken))))
            file.write(data)
            _mark(words, data, pieces * each, piece * each)
        for source in kept:
            _mark(words, take(source), pieces * each, piece * each)
        yield words


def _mark(words: "array[int]", data: bytes, pairs: int, first: int) -> None:
    for place, rest in _PAIR.iter_unpack(data):
        at = ((place * pairs >> 64) - first) * 2
        words[at] |= _TWO_BITS[rest & 4095] | _TWO_BITS[rest >> 12 & 4095]
        words[at + 1] |= _TWO_BITS[rest >> 24 & 4095] | _TWO_BITS[rest >> 36 & 4095]
