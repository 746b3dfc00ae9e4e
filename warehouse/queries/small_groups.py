"""Folds small groups, so that no figure counts fewer than k installs. Pure.

Within a bucket, groups under k are folded into `(other)`. If `(other)` is then still under k, the next smallest group
is folded too. A bucket with fewer than k installs in all has no figure, and looks the same as an empty one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

OTHER = "(other)"


class Group(NamedTuple):
    """A key in a bucket: its figure, and its number of installs, which is compared with k.

    `squares` is the sum of the squares of what each install adds to the figure. A sample's interval follows from it.
    """

    key: str
    value: int
    installs: int
    squares: float = 0


@dataclass(frozen=True)
class Bucket:
    """A bucket: its groups of k installs or more, the number of its other groups, and those merged into one."""

    start: str
    large: list[Group]
    others: int
    other: Group

    @property
    def smallest(self) -> Group | None:
        """The smallest of the large groups, None without one."""
        return min(self.large, key=lambda group: (group.installs, group.key), default=None)


class Row(NamedTuple):
    """A row that may be shown. `value` is None for fewer than k installs or none. `folded` groups are in it."""

    bucket: str
    key: str
    value: int | None
    installs: int = 0
    folded: int = 0
    squares: float = 0


# Takes a key for each bucket. Returns one group for each: its small groups merged with the group of that key.
Merge = Callable[[Mapping[str, str]], Mapping[str, Group]]


def fold(buckets: Iterable[Bucket], k: int, merge: Merge) -> list[Row]:
    """Fold small groups; returns the ordered rows.

    It calls `merge` at most once, and only if a group of k or more must be folded.
    """
    rows: list[Row] = []
    thin: dict[str, tuple[Bucket, Group]] = {}
    for bucket in buckets:
        if not bucket.others:
            rows += _rows(bucket, bucket.large)
        elif bucket.other.installs >= k:
            rows += [*_rows(bucket, bucket.large), _other(bucket, bucket.other, bucket.others)]
        elif smallest := bucket.smallest:
            thin[bucket.start] = bucket, smallest
        else:
            rows.append(withheld(bucket.start))
    merged = merge({start: smallest.key for start, (_, smallest) in thin.items()}) if thin else {}
    for start, (bucket, smallest) in thin.items():
        rows += _rows(bucket, (group for group in bucket.large if group is not smallest))
        # With stepped counts, the merged group may be smaller than one of its groups: an install that is new in the one
        # today may have been in the other before.
        other = max(merged[start], smallest, key=lambda group: group.installs)
        rows.append(_other(bucket, other, bucket.others + 1))
    return ordered(rows)


def withheld(bucket: str) -> Row:
    """Return the one row of a bucket without a figure."""
    return Row(bucket, OTHER, None)


def round_down(rows: Iterable[Row], k: int, *, add: bool) -> list[Row]:
    """Round counts of installs down to multiples of k, and sums (`add`) to two significant digits or to k if coarser.

    If two adjacent counts differ, the real difference is between 1 and 2k - 1; if they are equal, it is between 0 and
    k - 1. So the difference of two days or two filters does not show how few installs were added or lost.
    """

    def rounded(value: int) -> int:
        step = max(k, 10 ** (len(str(value)) - 2)) if add else k
        return value // step * step

    return ordered(row._replace(value=row.value if row.value is None else rounded(row.value)) for row in rows)


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by bucket, then by descending value, then by key. Rows without a figure are last in their bucket."""
    return sorted(rows, key=lambda row: (row.bucket, row.value is None, -(row.value or 0), row.key))


def _rows(bucket: Bucket, groups: Iterable[Group]) -> list[Row]:
    return [Row(bucket.start, group.key, group.value, group.installs, squares=group.squares) for group in groups]


def _other(bucket: Bucket, group: Group, folded: int) -> Row:
    return Row(bucket.start, OTHER, group.value, group.installs, folded, group.squares)
