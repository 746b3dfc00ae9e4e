"""Reads the groups of each bucket from ClickHouse: the large ones one by one, the small ones as one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from warehouse.engine import Engine
from warehouse.queries import disclosure, side_by_side
from warehouse.queries.group_counts import Counted, counts_once, counts_sql, keys_counted, together_sql
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.reported_values import PORTION, Texts
from warehouse.queries.small_groups import OTHER, Bucket, Group

# Of one bucket. Other groups are folded, so that invented values cannot fill the memory.
MOST_GROUPS = 2000
# Small groups of one bucket that are named at most.
MOST_NAMED = 4 * MOST_GROUPS


class _Counts(NamedTuple):
    """The counts of a group, as in `counts_sql`."""

    everybody: int = 0
    earlier: int = 0
    amount: int = 0
    squares: float = 0.0

    def with_others(self, *others: "_Counts") -> "_Counts":
        """Return the sums of these counts and others."""
        return _Counts(*map(sum, zip(self, *others, strict=True)))


@dataclass(frozen=True)
class _Read:
    """A bucket as ClickHouse returns it: its large groups, the number of its small ones, and the sums of these.

    `small` are the keys of the small groups, or None if they were not asked for or are too many.
    """

    start: str
    large: dict[str, _Counts]
    others: int
    sums: _Counts
    small: frozenset[str] | None


class BucketGroups:
    """The groups of a query. `open_from` is the first day whose figures change in steps.

    With `name_small`, `small` has the keys of the small groups of each bucket after `buckets`. A bucket with too many
    of them is missing.
    """

    def __init__(
        self,
        reader: Engine,
        query: MetricQuery,
        texts: Texts,
        k: int,
        open_from: date | None,
        *,
        name_small: bool = False,
    ) -> None:
        self._reader, self._query, self._texts, self._k = reader, query, texts, k
        self._name_small = name_small
        self.small: dict[str, frozenset[str]] = {}
        self._open_from = open_from if open_from and open_from <= query.end else None
        self._merged: dict[str, Group] = {}

    def buckets(self) -> list[Bucket]:
        """Return the buckets that have groups. Raises `EngineError`."""
        asked = self._reader, self._query, self._texts, self._open_from
        several = side_by_side.is_one_of_several(self._query)
        found = list(self._counted(side_by_side.counts(*asked)) if several else self._groups())
        self.small = {one.start: one.small for one in found if one.small is not None}
        buckets = {one.start: self._bucket(one, one.sums) for one in found}
        for one in found:
            if smallest := buckets[one.start].smallest:
                self._merged[one.start] = self._group(OTHER, one.sums.with_others(one.large[smallest.key]))
        if not counts_once(self._query):
            # Only where an install may be in several groups, and the difference matters.
            unsure = [one for one in found if one.others > 1 or (one.others and one.large)]
            together: dict[str, _Counts] = {}
            for part in _portions(unsure):
                together |= self._together(part, buckets)
            buckets |= {one.start: self._bucket(one, together[one.start]) for one in unsure}
        return list(buckets.values())

    def large(self) -> dict[str, list[Group]]:
        """Return the groups of k installs or more, by bucket. Raises `EngineError`."""
        return {one.start: self._bucket(one, one.sums).large for one in self._groups()}

    def merge(self, smallest: Mapping[str, str]) -> dict[str, Group]:
        """Return the small groups of these buckets merged with the smallest large one."""
        return {start: self._merged[start] for start in smallest}

    def _groups(self) -> Iterator[_Read]:
        few = keys_counted(self._reader, self._query, self._texts, self._open_from)
        return self._ranked() if few is None else self._counted(few)

    def _ranked(self) -> Iterator[_Read]:
        counts, parameters = counts_sql(self._reader, self._query, self._texts, self._open_from)
        installs = "everybody"
        if self._open_from:
            installs = disclosure.stepped_sql("earlier", "everybody")
        small = f"groupArrayIf({MOST_NAMED})(key, NOT large)" if self._name_small else "emptyArrayString()"
        sql = f"""
            SELECT bucket, groupArrayIf((key, everybody, earlier, amount, squares), large), countIf(NOT large),
                {small}, sumIf(everybody, NOT large), sumIf(earlier, NOT large), sumIf(amount, NOT large),
                sumIf(squares, NOT large)
            FROM (
                SELECT *, {installs} AS installs, installs >= {{k:UInt64}} AND key != '{OTHER}'
                    AND row_number() OVER (PARTITION BY bucket ORDER BY installs DESC, key) <= {MOST_GROUPS} AS large
                FROM ({counts})
            )
            GROUP BY bucket
        """  # noqa: S608
        for bucket, large, others, keys, *sums in self._reader.query(sql, {**parameters, "k": self._k}):
            named = frozenset(keys) if len(keys) == others else None
            counts_by_key = {key: _Counts(*each) for key, *each in large}
            yield _Read(bucket.isoformat(), counts_by_key, others, _Counts(*sums), named)

    def _counted(self, found: Iterable[Counted]) -> Iterator[_Read]:
        """Return what `_ranked` returns, of counts of all keys. A key may have several."""
        buckets: dict[str, dict[str, _Counts]] = {}
        for start, key, everybody, earlier, amount in found:
            counts = buckets.setdefault(start, {})
            found_one = _Counts(everybody, earlier, amount)
            counts[key] = counts[key].with_others(found_one) if key in counts else found_one
        for start, counts in buckets.items():
            if self._query.dimensions:
                counts.pop("", None)  # a missing value
            installs = {key: self._installs(each) for key, each in counts.items()}
            ordered = sorted((-number, key) for key, number in installs.items() if number >= self._k and key != OTHER)
            large = [key for _, key in ordered[:MOST_GROUPS]]
            small = counts.keys() - set(large)
            if counts:
                yield _Read(
                    start,
                    {key: counts[key] for key in large},
                    len(small),
                    _Counts().with_others(*(counts[key] for key in small)),
                    frozenset(small) if self._name_small and len(small) <= MOST_NAMED else None,
                )

    def _together(self, found: list[_Read], buckets: Mapping[str, Bucket]) -> dict[str, _Counts]:
        """Return the counts of the small groups of each bucket, each install once. Notes the merged groups."""
        smallest = {start: group.key for start in (one.start for one in found) if (group := buckets[start].smallest)}
        large = {one.start: list(one.large) for one in found}
        together = {}
        statement = together_sql(self._reader, self._query, self._texts, self._open_from, large, smallest)
        for bucket, *counts in self._reader.query(*statement):
            start = bucket.isoformat()
            together[start] = _Counts(*counts[:4])
            self._merged[start] = self._group(OTHER, _Counts(*counts[4:]))
        return together

    def _bucket(self, found: _Read, others: _Counts) -> Bucket:
        large = [self._group(key, counts) for key, counts in found.large.items()]
        return Bucket(found.start, large, found.others, self._group(OTHER, others))

    def _installs(self, counts: _Counts) -> int:
        return disclosure.stepped(counts.earlier, counts.everybody, self._k) if self._open_from else counts.everybody

    def _group(self, key: str, counts: _Counts) -> Group:
        installs = self._installs(counts)
        if self._query.metric == "feature_uses":
            return Group(key, counts.amount, installs, counts.squares)
        return Group(key, installs, installs, installs)


def _portions(found: Iterable[_Read]) -> Iterator[list[_Read]]:
    """Split buckets, so that the keys of a portion fit into a parameter."""
    part: list[_Read] = []
    keys = 0
    for one in found:
        if part and keys + len(one.large) > PORTION:
            yield part
            part, keys = [], 0
        part.append(one)
        keys += len(one.large)
    if part:
        yield part
