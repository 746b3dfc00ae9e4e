"""Small groups: no figure that stands for fewer than k installs leaves this module. Pure.

Within a bucket, groups under k go into `(other)`, and with them the next smallest group while `(other)` itself would be
under k. A bucket that is under k as a whole has no figure, and neither has an empty one: the two look alike.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

OTHER = "(other)"


@dataclass(frozen=True)
class Group:
    """A key in a bucket: its figure, and the installs behind it that count towards k."""

    key: str
    value: int
    installs: int


@dataclass(frozen=True)
class Bucket:
    """The groups of a bucket: those of k installs or more, how many others there are, and those together as one."""

    start: str
    large: list[Group]
    others: int
    other: Group


@dataclass(frozen=True)
class Row:
    """A row that may be shown; `value` None: fewer than k, or none. `folded` groups are in it."""

    bucket: str
    key: str
    value: int | None
    installs: int = 0
    folded: int = 0


# Given a key for each bucket: all small groups of the bucket and the group of that key, together as one.
Merge = Callable[[Mapping[str, str]], Mapping[str, Group]]


def fold(buckets: Iterable[Bucket], k: int, merge: Merge) -> list[Row]:
    """Fold small groups; returns the rows, ordered.

    `merge` is called at most once, and only when a group of k or more has to be folded.
    """
    rows: list[Row] = []
    thin: dict[str, tuple[Bucket, Group]] = {}
    for bucket in buckets:
        if not bucket.others:
            rows += _rows(bucket, bucket.large)
        elif bucket.other.installs >= k:
            rows += [*_rows(bucket, bucket.large), _other(bucket, bucket.other, bucket.others)]
        elif not bucket.large:
            rows.append(withheld(bucket.start))
        else:
            thin[bucket.start] = bucket, min(bucket.large, key=lambda group: (group.installs, group.key))
    merged = merge({start: smallest.key for start, (_, smallest) in thin.items()}) if thin else {}
    for start, (bucket, smallest) in thin.items():
        rows += _rows(bucket, (group for group in bucket.large if group is not smallest))
        # An install that came today to the one may have come earlier to the other: stepped, both together may be less.
        other = max(merged[start], smallest, key=lambda group: group.installs)
        rows.append(_other(bucket, other, bucket.others + 1))
    return ordered(rows)


def withheld(bucket: str) -> Row:
    """The one row of a bucket that has no figure."""
    return Row(bucket, OTHER, None)


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
    """By bucket; within one the largest first, equals by key, and what has no figure last."""
    return sorted(rows, key=lambda row: (row.bucket, row.value is None, -(row.value or 0), row.key))


def _rows(bucket: Bucket, groups: Iterable[Group]) -> list[Row]:
    return [Row(bucket.start, group.key, group.value, group.installs) for group in groups]


def _other(bucket: Bucket, group: Group, folded: int) -> Row:
    return Row(bucket.start, OTHER, group.value, group.installs, folded)
