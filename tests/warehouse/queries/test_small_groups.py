"""Folding: no group under k is ever shown, and nothing else is lost."""

from collections import defaultdict
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.queries.small_groups import OTHER, Bucket, Group, Row, fold, round_down

DAY = "2026-11-22"
Installs = dict[str, dict[str, dict[int, int]]]  # bucket → key → install → uses


def folded(data: Installs, k: int, *, add: bool) -> tuple[list[Row], int]:
    """The rows, and how often groups had to be merged."""
    asked: list[Mapping[str, str]] = []

    def together(groups: list[dict[int, int]]) -> Group:
        installs = {install for uses in groups for install in uses}
        return Group(OTHER, sum(sum(uses.values()) for uses in groups) if add else len(installs), len(installs))

    def merge(smallest: Mapping[str, str]) -> dict[str, Group]:
        asked.append(smallest)
        return {
            start: together([uses for name, uses in data[start].items() if len(uses) < k or name == key])
            for start, key in smallest.items()
        }

    buckets = [
        Bucket(
            start,
            [together([uses])._replace(key=key) for key, uses in keys.items() if len(uses) >= k],
            sum(len(uses) < k for uses in keys.values()),
            together([uses for uses in keys.values() if len(uses) < k]),
        )
        for start, keys in data.items()
    ]
    return fold(buckets, k, merge), len(asked)


def of(**installs: range | set[int]) -> Installs:
    """One day; each install used each thing twice."""
    return {DAY: {key: dict.fromkeys(members, 2) for key, members in installs.items()}}


@pytest.mark.parametrize(
    ("it", "data", "counts", "sums", "suppressed"),
    [
        ("nothing", {}, [], [], 0),
        ("all large", of(a=range(9), b=range(5)), [("a", 9), ("b", 5)], [("a", 18), ("b", 10)], 0),
        ("one small alone", of(a=range(4)), [(OTHER, None)], [(OTHER, None)], 0),
        ("all small, too few", of(a={1, 2}, b={2, 3}), [(OTHER, None)], [(OTHER, None)], 0),
        ("all small, enough", of(a={1, 2, 3}, b={4, 5}), [(OTHER, 5)], [(OTHER, 10)], 2),
        ("the same four twice", of(a=range(4), b=range(4)), [(OTHER, None)], [(OTHER, None)], 0),
        (
            "small beside large",
            of(a=range(9), b={1, 2, 3}, c={10, 11}),
            [("a", 9), (OTHER, 5)],
            [("a", 18), (OTHER, 10)],
            2,
        ),
        (
            "small takes the next smallest with it",
            of(a=range(20), b=range(6), c={50}),
            [("a", 20), (OTHER, 7)],
            [("a", 40), (OTHER, 14)],
            2,
        ),
        (
            "who is in both counts once",
            of(a=range(20), b=range(6), c={3, 50}),
            [("a", 20), (OTHER, 7)],
            [("a", 40), (OTHER, 16)],
            2,
        ),
        ("one large and one small", of(a=range(6), b={50}), [(OTHER, 7)], [(OTHER, 14)], 2),
        (
            "of equals the first by name",
            of(b=range(6), a=range(6), c={50}),
            [(OTHER, 7), ("b", 6)],
            [(OTHER, 14), ("b", 12)],
            2,
        ),
    ],
)  # fmt: skip
def test_a_fold_by_hand(
    it: str, data: Installs, counts: list[tuple[str, int | None]], sums: list[tuple[str, int | None]], suppressed: int
) -> None:
    """With k = 5: what is shown, in order, and how many groups are folded in what is shown."""
    for add, expected in ((False, counts), (True, sums)):
        rows, asked = folded(data, 5, add=add)
        assert [(row.key, row.value) for row in rows] == expected, it
        assert sum(row.folded for row in rows) == suppressed
        assert asked <= 1


def test_rows_come_by_bucket_then_value_then_key() -> None:
    """Buckets in order of time; within one the largest first, equals by name, and what is not told last."""
    data = {"2026-11-02": of(a=range(5), b=range(7), c=range(5))[DAY], "2026-11-01": of(z=range(9))[DAY]}
    rows, _ = folded(data, 5, add=False)
    assert [(row.bucket[-1], row.key, row.value) for row in rows] == [
        ("1", "z", 9), ("2", "b", 7), ("2", "a", 5), ("2", "c", 5),
    ]  # fmt: skip


def test_rounded_rows_by_hand() -> None:
    """Installs in multiples of k, uses to two digits at most; what is equal then is ordered by its key."""
    rows = [Row(DAY, "b", 14), Row(DAY, "c", 13), Row(DAY, "a", 10), Row(DAY, OTHER, None), Row("2026-11-21", "a", 5)]
    assert [(row.key, row.value) for row in round_down(rows, 5, add=False)] == [
        ("a", 5), ("a", 10), ("b", 10), ("c", 10), (OTHER, None),
    ]  # fmt: skip
    uses = [Row(DAY, key, value) for key, value in (("a", 123_456), ("b", 129), ("c", 99), ("d", 7), ("e", 0))]
    assert [row.value for row in round_down(uses, 5, add=True)] == [120_000, 120, 95, 5, 0]


fleets = st.dictionaries(
    st.sampled_from(["2026-11-20", "2026-11-21"]),
    st.dictionaries(
        st.sampled_from("abcdefg"),
        st.dictionaries(st.integers(1, 40), st.integers(0, 9), min_size=1, max_size=14),
        min_size=1,
    ),
)


@given(fleets, st.integers(1, 9), st.booleans())
def test_no_row_stands_for_fewer_than_k(data: Installs, k: int, add: bool) -> None:
    """Every figure stands for k installs or more; totals are kept; k = 1 hides nothing."""
    rows, asked = folded(data, k, add=add)
    by_bucket: dict[str, dict[str, int | None]] = defaultdict(dict)
    for row in rows:
        assert row.key not in by_bucket[row.bucket]
        by_bucket[row.bucket][row.key] = row.value
    assert set(by_bucket) == set(data)
    assert asked <= 1
    assert k > 1 or not any(row.folded for row in rows)
    for bucket, keys in by_bucket.items():
        told = sum(1 if row.key != OTHER else row.folded for row in rows if row.bucket == bucket)
        assert told == (0 if None in keys.values() else len(data[bucket]))
    for bucket, keys in by_bucket.items():
        hidden = {key: uses for key, uses in data[bucket].items() if key not in keys}
        members = {install for uses in hidden.values() for install in uses}
        for key in keys.keys() - {OTHER}:
            uses = data[bucket][key]
            assert len(uses) >= k
            assert keys[key] == (sum(uses.values()) if add else len(uses))
        assert (OTHER in keys) is bool(hidden)
        if not hidden:
            continue
        if keys[OTHER] is None:
            assert len(members) < k
            assert set(keys) == {OTHER}
        else:
            assert len(members) >= k
            assert keys[OTHER] == (sum(sum(uses.values()) for uses in hidden.values()) if add else len(members))
