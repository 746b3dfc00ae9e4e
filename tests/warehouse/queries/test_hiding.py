"""What is hidden, so that nothing under k is shown or can be computed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.queries.questions.hiding import fold, hidden, part

K = 5
NAMES = "abcde"
GROUPS = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3 * K), min_size=1)
TOTALS = st.lists(st.sets(st.sampled_from(NAMES), min_size=2), max_size=3)


@pytest.mark.parametrize(
    ("groups", "totals", "expected"),
    [
        ({"a": 5, "b": 9}, ["ab"], ""),
        # A difference would be 4.
        ({"a": 4, "b": 9, "c": 20}, ["abc"], "ab"),
        # Both together are enough, and neither can be computed.
        ({"a": 4, "b": 3, "c": 20}, ["abc"], "ab"),
        ({"a": 1, "b": 2, "c": 20}, ["abc"], "abc"),
        # No total is known.
        ({"a": 4, "b": 9}, [], "a"),
        # A group that nobody is in tells nothing of others.
        ({"a": 0, "b": 9}, ["ab"], "a"),
        # b is hidden for a, and c so that b cannot be computed.
        ({"a": 1, "b": 9, "c": 12, "d": 30}, ["ab", "bcd"], "abc"),
    ],
)
def test_what_is_hidden(groups: dict[str, int], totals: list[str], expected: str) -> None:
    """The small ones, and as many of the next larger ones as it takes."""
    assert hidden(groups, totals, K) == set(expected)
    assert hidden(groups, totals, 1) == set()


@given(groups=GROUPS, totals=TOTALS)
def test_no_total_discloses_what_is_hidden(groups: dict[str, int], totals: list[set[str]]) -> None:
    """What is hidden of a total is nothing, or two groups at least with k installs; or all of it is hidden."""
    known = [[name for name in total if name in groups] for total in totals]
    found = hidden(groups, known, K)
    assert all(groups[name] >= K for name in groups.keys() - found)
    for names in known:
        inside = [groups[name] for name in names if name in found]
        assert sum(inside) == 0 or len(inside) == len(names) or (sum(inside) >= K and len(inside) > 1)


@pytest.mark.parametrize(
    ("installs", "of", "shown"), [(5, 10, True), (4, 10, False), (7, 10, False), (10, 10, True), (0, 10, False)]
)
def test_a_part_hides_the_rest(installs: int, of: int, shown: bool) -> None:
    """Unless the rest is nobody, or k and more."""
    assert part(installs, of, K) is shown


@pytest.mark.parametrize(
    ("groups", "shown", "other", "number"),
    [
        ({"a": (5, 9)}, "a", None, 0),
        ({"a": (5, 9), "b": (1, 4)}, "", (6, 13), 2),
        ({"a": (5, 9), "b": (4, 6), "c": (1, 0)}, "a", (5, 6), 2),
        ({"a": (5, 9), "b": (4, 6)}, "", (9, 15), 2),
        ({"a": (1, 9), "b": (1, 6)}, "", None, 2),
        ({"a": (0, 9), "b": (0, 6)}, "ab", None, 0),
    ],
)
def test_groups_are_folded_with_all_their_parts(groups: Any, shown: str, other: Any, number: int) -> None:
    """A group of which one part is small goes into the sum, then the smallest of the others while the sum is small."""
    found = fold(groups, K)
    assert (set(found.shown), found.other, found.number) == (set(shown), other, number)


@given(st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_folding_loses_nobody(groups: dict[str, tuple[int, int]]) -> None:
    """What is shown and the sum are all, unless the sum is hidden; and every part is nobody, or k and more."""
    found = fold(groups, K)
    parts = [*found.shown.values(), *([found.other] if found.other else [])]
    assert all(one == 0 or one >= K for each in parts for one in each)
    if found.other:
        assert tuple(map(sum, zip(*parts, strict=True))) == tuple(map(sum, zip(*groups.values(), strict=True)))
    assert found.number + len(found.shown) == len(groups)
