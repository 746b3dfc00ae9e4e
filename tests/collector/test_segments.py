"""Files of duplicate ids: what is in them is found, what is not is not, whatever the ids are."""

import os
from bisect import bisect_left
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.spool import segments
from collector.spool.segments import Damaged, Filter, Ids, Segment, open_filter, open_ids, places_and_bits, write

# Ids are a keyed hash; the files have to be right for any all the same: near each other, at both ends, alike in part.
anything = st.one_of(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 300).map(lambda number: number.to_bytes(16)),
    st.integers(0, 300).map(lambda number: (2**128 - 1 - number).to_bytes(16)),
    st.integers(0, 300).map(lambda number: bytes([number % 256]) * 8 + number.to_bytes(8)),
)


def nothing() -> None:
    """Others may have the interpreter."""


def passes(filter: Filter, id: bytes) -> bool:
    ((_, place, first, second),) = places_and_bits([id])
    at = (place * filter.pairs >> 64) * 2
    return filter.words[at] & first == first and filter.words[at + 1] & second == second


@given(
    held=st.sets(anything, min_size=1, max_size=200),
    asked=st.lists(anything, max_size=50),
    near=st.sampled_from([1, 2, 5, 128]),
)
def test_an_id_is_found_where_it_is(held: set[bytes], asked: list[bytes], near: int) -> None:
    """The place of an id, calculated from its value, is that of a search; and it is in them if it was put there."""
    ordered = sorted(held)
    ids = Ids(b"".join(ordered))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "NEAR", near)
        for id in [*ordered, *asked]:
            assert ids.place(id) == bisect_left(ordered, id)
            assert (id in ids) is (id in held)
    assert list(ids) == ordered


@given(
    sources=st.lists(st.tuples(st.integers(1, 3), st.sets(anything, min_size=1, max_size=60)), min_size=1, max_size=6),
    kept=st.lists(st.sets(anything, min_size=1, max_size=60), max_size=2),
    piece=st.sampled_from([1, 7, 64, 1 << 16]),
)
def test_what_is_written_is_what_was_given(
    tmp_path_factory: pytest.TempPathFactory,
    sources: list[tuple[int, set[bytes]]],
    kept: list[set[bytes]],
    piece: int,
) -> None:
    """Each day's segment has its ids in order, in however many pieces it was written; the filter passes them all."""
    folder = tmp_path_factory.mktemp("segments")
    days: dict[int, list[Ids]] = {}
    for day, ids in sources:
        days.setdefault(day, []).append(Ids(b"".join(sorted(ids))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "PIECE", piece)
        name, made = write(folder, days, [Ids(b"".join(sorted(ids))) for ids in kept], nothing)
    assert sorted(segment.day for segment in made) == sorted(days)
    filter = open_filter(folder, name)
    for segment in made:
        expected = sorted(id for each in days[segment.day] for id in each)
        assert list(open_ids(folder, segment)) == expected
        assert all(passes(filter, id) for id in expected)
    assert all(passes(filter, id) for ids in kept for id in ids)


def test_a_filter_passes_hardly_any_other_id(tmp_path: Path) -> None:
    """Of ids that are in none of its files it passes fewer than one in a thousand: only these are looked for."""
    held = sorted(os.urandom(16) for _ in range(20_000))
    name, _ = write(tmp_path, {1: [Ids(b"".join(held))]}, [], nothing)
    filter = open_filter(tmp_path, name)
    assert sum(passes(filter, os.urandom(16)) for _ in range(20_000)) < 20
    assert (tmp_path / f"{name}.filter").stat().st_size <= 3.2 * len(held) + 64


def test_nothing_is_left_of_what_could_not_be_written(tmp_path: Path) -> None:
    """A disk that is full leaves no half file."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(tmp_path, {1: [Ids(bytes(16))]}, [], full)
    assert list(tmp_path.iterdir()) == []


def test_the_files_are_for_us_alone(tmp_path: Path) -> None:
    """The mode of segments and filters is 0600."""
    write(tmp_path, {1: [Ids(bytes(16))]}, [], nothing)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600, 0o600]


def test_a_file_that_is_too_short_is_not_believed(tmp_path: Path) -> None:
    """A segment that lacks ids would make duplicates count again."""
    _, (segment,) = write(tmp_path, {1: [Ids(bytes(48))]}, [], nothing)
    path = tmp_path / f"{segment.name}.ids"
    path.write_bytes(path.read_bytes()[:32])
    with pytest.raises(Damaged, match="holds 2 ids instead of 3"):
        open_ids(tmp_path, segment)
    path.write_bytes(b"")
    with pytest.raises(Damaged, match="0 bytes"):
        open_ids(tmp_path, Segment(segment.name, 1, 0, "", cleared=True))
