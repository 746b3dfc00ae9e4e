"""Small groups: no figure that stands for fewer than k installs leaves this module. Pure.

Within a bucket, groups under k go into `(other)`, and with them the next smallest group while `(other)` itself would be
under k. A bucket that is under k as a whole is told as such, without a figure.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

OTHER = "(other)"

Overlap = set[tuple[str, str, int]]  # (bucket, key, install)


@dataclass(frozen=True)
class Group:
    """A key in a bucket: its figure, the number of installs behind it, and who they are while fewer than k."""

    bucket: str
    key: str
    value: int
    installs: int
    members: frozenset[int]


@dataclass(frozen=True)
class Row:
    """A row that may be shown; `value` None: fewer than k."""

    bucket: str
    key: str
    value: int | None


def fold(
    groups: Iterable[Group], k: int, overlap: Callable[[frozenset[int]], Overlap], *, add: bool
) -> tuple[list[Row], int]:
    """Fold small groups; returns the rows, ordered, and how many groups are not among them.

    `add`: the figure is a sum over installs (uses), else it is the number of distinct installs, and an install that
    is in two folded groups counts once in `(other)`. `overlap` tells in which (bucket, key) some installs are; it is
    asked at most once, and only when a group of k or more has to be folded.
    """
    buckets: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        buckets[group.bucket].append(group)
    rows: list[Row] = []
    suppressed = 0
    thin: list[tuple[frozenset[int], list[Group], list[Group]]] = []
    for of_bucket in buckets.values():
        small = [group for group in of_bucket if group.installs < k]
        large = [group for group in of_bucket if group.installs >= k]
        members: frozenset[int] = frozenset().union(*(group.members for group in small))
        if not small:
            rows += _shown(large)
        elif len(members) >= k:
            rows += [*_shown(large), Row(small[0].bucket, OTHER, _sum(small) if add else len(members))]
            suppressed += len(small)
        elif not large:
            rows.append(Row(small[0].bucket, OTHER, None))
            suppressed += len(small)
        else:
            thin.append((members, small, large))
    known = overlap(frozenset().union(*(members for members, _, _ in thin))) if thin and not add else set()
    for members, small, large in thin:
        smallest = min(large, key=lambda group: (group.installs, group.key))
        both = sum((smallest.bucket, smallest.key, member) in known for member in members)
        value = _sum([*small, smallest]) if add else smallest.installs + len(members) - both
        rows += [*_shown(group for group in large if group is not smallest), Row(smallest.bucket, OTHER, value)]
        suppressed += len(small) + 1
    return ordered(rows), suppressed


def round_down(rows: Iterable[Row], k: int, *, add: bool) -> list[Row]:
    """Counts of installs in whole multiples of k; sums (`add`) to two significant digits, and no finer than k.

    Two such counts that are apart stand for any difference from 1 to twice k less 1, two that are the same for any from
    0 to k - 1: from two counts nobody learns how few installs came or went, from day to day or from filter to filter.
    """

    def rounded(value: int) -> int:
        step = max(k, 10 ** (len(str(value)) - 2)) if add else k
        return value // step * step

    return ordered(replace(row, value=row.value if row.value is None else rounded(row.value)) for row in rows)


def ordered(rows: Iterable[Row]) -> list[Row]:
    """By bucket; within one the largest first, equals by key, and what is not told last."""
    return sorted(rows, key=lambda row: (row.bucket, row.value is None, -(row.value or 0), row.key))


def _shown(groups: Iterable[Group]) -> list[Row]:
    return [Row(group.bucket, group.key, group.value) for group in groups]


def _sum(groups: list[Group]) -> int:
    return sum(group.value for group in groups)
