"""One definition of each number: the charts, the tables, the CSV files and the read API all come through here.

`answer` runs a `MetricQuery` and folds groups under k. What folding hides is not told to who asks for it by name
either: a filter tells no more than a grouping has rows for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from functools import partial
from typing import Any

from warehouse.at_once import at_once
from warehouse.engine import Engine
from warehouse.queries import dimensions, disclosure, sampling, side_by_side, single_group
from warehouse.queries.bucket_groups import BucketGroups
from warehouse.queries.bucket_select import BETWEEN, table
from warehouse.queries.differencing import Cell
from warehouse.queries.dimensions import LICENSE_DIMENSIONS, QueryError, dimension_of
from warehouse.queries.group_counts import texts_sql
from warehouse.queries.metric_query import COUNTS, DEFAULT_DAYS, GRAINS, METRICS, MOST_DAYS, MetricQuery, parse
from warehouse.queries.small_groups import OTHER, Row, fold, ordered, round_down, withheld
from warehouse.server_users import ServerUser
from warehouse.shared_statements import SharedStatements

__all__ = [
    "COUNTS", "DEFAULT_DAYS", "GRAINS", "LICENSE_DIMENSIONS", "METRICS", "MOST_DAYS", "MetricQuery", "QueryError",
    "answer", "buckets", "days_with_beacons", "fresh_to", "parse",
]  # fmt: skip

# What a question is grouped by, and its filters.
_Grouping = tuple[str | None, frozenset[tuple[str, str]]]
# Of one answer: four filters take 32 at most, and seldom more than four. What is not found out by then is withheld.
MOST_GROUPINGS = 64


def answer(
    engine: Engine,
    query: MetricQuery,
    k: int,
    *,
    rounded: bool = False,
    open_from: date | None = None,
    hide_open: bool = False,
    withhold: Callable[[Iterable[Cell]], set[str]] | None = None,
) -> dict[str, Any]:
    """The answer of the read API: rows by bucket, then value descending; no group of fewer than k installs.

    Each bucket of the span has a row. `rounded`: no two counts of installs differ by 1 to k - 1, whatever was asked of
    which days. `open_from`: figures that hold this day or a later one change in steps of k installs, and with
    `hide_open` those of the usage plane do not include these days (`warehouse/queries/disclosure.py`). `withhold` says
    which buckets must not be told beside what the asker knows (`warehouse/queries/differencing.py`). A span of many
    install-days is estimated from a sample of the installs (`warehouse/queries/sampling.py`). Raises `EngineError`, and
    `QueryError` for a condition beside `withhold`, which does not know when one condition implies another.
    """
    if withhold and (condition := next(filter(dimensions.is_condition, query.filters), None)):
        raise QueryError("out_of_range", condition, "conditions are not answered with PHAROS_DISCLOSURE=strict")
    engine = SharedStatements(engine)
    fresh = fresh_to(engine)  # first: no figure is older than the time that the answer states
    question = _Question(engine, query, k, open_from, hide_open=hide_open)
    query = replace(query, divisor=question.divisor(query), established=withhold is not None)
    rows = question.rows_of(query)
    if withhold:
        bad = withhold(_cells(query, rows))
        rows = ordered([*(row for row in rows if row.bucket not in bad), *map(withheld, bad)])
    intervals = {
        (row.bucket, row.key): list(sampling.interval(row.value, row.squares, query.divisor))
        for row in rows
        if row.value is not None and query.divisor > 1
    }
    if query.divisor > 1:
        rows = [row._replace(value=row.value and row.value * query.divisor) for row in rows]
    if rounded:
        rows = round_down(rows, k, add=query.metric == "feature_uses")
    answer = {
        "metric": query.metric,
        "from": query.start.isoformat(),
        "to": query.end.isoformat(),
        "grain": query.grain,
        "by": query.by,
        "count": query.count,
        "k": k,
        "rows": [
            {"bucket": row.bucket, **_key(query, row), "value": row.value}
            | ({"interval": intervals.get((row.bucket, row.key))} if query.divisor > 1 else {})
            for row in rows
        ],
        "suppressed": sum(row.folded for row in rows),
        "fresh_to": fresh,
        "exact": not rounded and query.divisor == 1,
        "open_from": open_from.isoformat() if open_from and open_from <= query.end else None,
    }
    return answer if query.divisor == 1 else {**answer, "sampled": 1 / query.divisor}


def _key(query: MetricQuery, row: Row) -> dict[str, Any]:
    """The key of a row, or the keys where there are two dimensions."""
    if len(query.dimensions) < 2:
        return {"key": row.key if query.by else None}
    return {"keys": _keys(query, row)}


def _keys(query: MetricQuery, row: Row) -> list[str]:
    return [OTHER] * len(query.dimensions) if row.key == OTHER else row.key.split(BETWEEN)


def buckets(query: MetricQuery) -> dict[str, tuple[date, date]]:
    """The buckets of a span, in order: each by its first day, which may lie before the span, with its days in it."""
    days = (query.start + timedelta(days=number) for number in range((query.end - query.start).days + 1))
    first: dict[str, Callable[[date], date]] = {
        "day": lambda day: day,
        "week": lambda day: day - timedelta(days=day.weekday()),
        "month": lambda day: day.replace(day=1),
        "period": lambda day: query.start,
    }
    found: dict[str, tuple[date, date]] = {}
    for day in days:
        bucket = first[query.grain](day).isoformat()
        found[bucket] = found.get(bucket, (day, day))[0], day
    return found


def _cells(query: MetricQuery, rows: list[Row]) -> Iterator[Cell]:
    """The counts of installs in an answer, each with all that is true of its installs.

    Who used a feature is one of those who are counted as there. Who reported a value last is one of those who did, and
    is in its series.
    """
    more = {("", "used")} if query.metric != "installs" else set()
    if query.count == "latest":
        more.add(("", "latest"))
    spans = buckets(query)
    for row in rows:
        if row.value is None:
            continue
        if row.key == OTHER and len(query.dimensions) > 1:
            keyed = {(str(query.by), OTHER)}
        else:
            keyed = set(zip(query.dimensions, _keys(query, row), strict=True)) if query.by else set()
        stated = {*query.filters.items(), *keyed, ("", f"one in {query.divisor}")}
        yield Cell(row.bucket, *spans[row.bucket], frozenset(stated | more | dimensions.implied(stated)), row.installs)


class _Question:
    """What one answer asks: its question, and the groupings that say in which buckets the filters may be told."""

    def __init__(self, engine: Engine, query: MetricQuery, k: int, open_from: date | None, *, hide_open: bool) -> None:
        self._engine, self._k, self._open_from, self._hide_open = engine, k, open_from, hide_open
        self._groupings: dict[_Grouping, list[Row]] = {}
        # The rows of one value of a grouping.
        self._single: dict[tuple[str | None, frozenset[tuple[str, str]], str], list[Row]] = {}
        # The keys by bucket that are in no row of their own. Kept for the dimensions that conditions are about.
        self._folded: dict[_Grouping, dict[str, set[str]]] = {}
        self._about = {dimension_of(name) for name in query.filters if dimensions.is_condition(name)}
        self._reported: dict[tuple[str, str], Sequence[str]] = {}
        self._side_by_side = query.side_by_side

    def divisor(self, query: MetricQuery) -> int:
        """One install in so many answers the query."""
        return sampling.divisor(self._engine, query)

    def rows_of(self, query: MetricQuery) -> list[Row]:
        """The rows that may be shown, and one without a figure for each other bucket. Raises `EngineError`."""
        if self._k > 1 and query.filters and not (query.by or self._about or query.metric == "feature_uses"):
            rows = self._of_groupings(query)
        else:
            found = self._sum_of_condition(query)
            if found is None and query.filters and self._k > 1 and not self._groupings:  # no other asks for it here
                found, _ = at_once(partial(self._fold, query), partial(self._first_check, query))
            elif found is None:
                found = self._fold(query)
            rows = [row for row in found if row.value is not None]
            named = self._named(query, {row.bucket for row in rows})
            rows = [row for row in rows if row.bucket in named]
        told = {row.bucket for row in rows}
        untold = [withheld(bucket) for bucket in buckets(query) if bucket not in told]
        return ordered([*rows, *untold]) if untold else rows

    def _of_groupings(self, query: MetricQuery) -> list[Row]:
        """The totals under the filters: each is a row of the groupings by all of them, or may not be told."""
        told: list[dict[str, Row]] = []
        for name, value in _checked(query):
            told.append({row.bucket: row for row in self._of_filter(query, name, value)})
            if not told[-1]:
                break
        first, *others = told
        return [row._replace(key="") for bucket, row in first.items() if all(bucket in other for other in others)]

    def _sum_of_condition(self, query: MetricQuery) -> list[Row] | None:
        """The totals under a condition, from the grouping by it: each install has one latest value.

        None for other questions, and where only some of what is folded meets the condition.
        """
        conditions = [name for name in query.filters if dimensions.is_condition(name)]
        steps = self._open_from and self._open_from <= self._told_days(query).end
        if (query.metric, query.count, query.by, len(conditions)) != ("installs", "latest", None, 1) or steps:
            return None
        (name,) = conditions
        grouping = _by_filter(query, name)
        sums: dict[str, int] = {}
        for row in self._grouping(grouping):
            if row.value is not None:
                folded = self._folded.get(_grouping(grouping), {}).get(row.bucket)
                held = None if folded is None else self._meets(grouping, name, query.filters[name], folded)
                if held is None or len(held) > 1:
                    return None
                meets = True in held if row.key == OTHER else dimensions.matches(name, query.filters[name], row.key)
                sums[row.bucket] = sums.get(row.bucket, 0) + (row.value if meets else 0)
        return [Row(bucket, "", total, total, squares=total) for bucket, total in sums.items() if total >= self._k]

    def _named(self, query: MetricQuery, buckets: set[str]) -> set[str]:
        """Those of the buckets in which each of the filters is a row of the grouping by it, under the others.

        A condition is rows of that grouping if it holds for all that is folded of the module, or for none of it.
        Whatever the other filters are, so that they tell nothing of an install whose value is folded.
        """
        named = buckets
        query = self._of_installs(query)
        for name, value in _checked(query) if self._k > 1 else ():
            if not named:
                break
            named &= {row.bucket for row in self._of_filter(query, name, value)}
            if named and dimensions.is_condition(name):
                named &= self._not_split(_by_filter(query, name), name, value)
        return named

    def _first_check(self, query: MetricQuery) -> None:
        """Read the grouping that `_named` looks at first."""
        query = self._of_installs(query)
        self._of_filter(query, *_checked(query)[0])

    def _of_filter(self, query: MetricQuery, name: str, value: str) -> list[Row]:
        """The rows of the grouping by a filter that tell its value; for a condition all that tell anything."""
        grouping = _by_filter(query, name)
        if dimensions.is_condition(name):
            return [row for row in self._grouping(grouping) if row.value is not None]
        return self._of_value(grouping, value)

    def _of_installs(self, query: MetricQuery) -> MetricQuery:
        """The question whose groupings say which filters may be told."""
        if query.metric != "feature_uses":
            return query
        # Which groups are large depends on installs alone, and they are counted faster than uses.
        return replace(self._told_days(query), metric="feature_installs")

    def _not_split(self, query: MetricQuery, name: str, value: str) -> set[str]:
        """The buckets in which a condition holds for all keys of the module without a row of their own, or for none."""
        query = replace(query, filters={name: value for name, value in query.filters.items() if name == "module"})
        self._grouping(query)
        folded = self._folded.get(_grouping(query), {})
        return {bucket for bucket, keys in folded.items() if len(self._meets(query, name, value, keys)) < 2}

    def _meets(self, query: MetricQuery, name: str, value: str, keys: Iterable[str]) -> set[bool]:
        """Whether keys of a grouping meet a condition: all of them, none, or some."""
        (dimension,) = query.dimensions
        known = {dimensions.roll_up(dimension, text) for text in self._texts(query, dimensions.source(dimension))}
        return {key in known and dimensions.matches(name, value, key) for key in keys}

    def _reader(self, query: MetricQuery) -> Engine:
        return self._engine.as_user(ServerUser.LICENSING if query.of_license_plane else ServerUser.PRODUCT)

    def _told_days(self, query: MetricQuery) -> MetricQuery:
        """The same question of the days that are told."""
        hidden = query.metric == "feature_uses" or (self._hide_open and not query.of_license_plane)
        return replace(query, end=disclosure.last_day(query.end, self._open_from, hidden=hidden))

    def _texts(self, query: MetricQuery, source: str) -> Sequence[str]:
        """The different texts that were reported of a source in the span."""
        key = table(query), source
        if self._side_by_side and key not in self._reported and not query.of_license_plane:
            several = side_by_side.texts(self._reader(query), query)
            self._reported |= {(table(query), name): texts for name, texts in several.items()}
        if key not in self._reported:
            found = self._reader(query).query(*texts_sql(query, source))
            self._reported[key] = [text for (text,) in found]
        return self._reported[key]

    def _of_value(self, query: MetricQuery, value: str) -> list[Row]:
        """The rows that tell one value of a grouping."""
        question = *_grouping(query), value
        if question not in self._single:
            found = self._single_group(query, value) if _grouping(query) not in self._groupings else None
            if found is None:
                rows = self._grouping(query)
                found = [row for row in rows if row.value is not None and row.key == value != OTHER]
            self._single[question] = found
        return self._single[question]

    def _single_group(self, query: MetricQuery, value: str) -> list[Row] | None:
        """The same, None if all groups have to be counted for it."""
        query = _as_reported(self._told_days(query))
        if query.by not in single_group.DIMENSIONS or query.end < query.start:
            return None
        texts = partial(self._texts, query)
        rows = single_group.rows(self._reader(query), query, value, texts, self._k, self._open_from)
        if rows is None:
            return None
        named = self._named(query, {row.bucket for row in rows})
        return [row for row in rows if row.bucket in named]

    def _grouping(self, query: MetricQuery) -> list[Row]:
        question = _grouping(query)
        if question not in self._groupings and len(self._groupings) < MOST_GROUPINGS:
            self._groupings[question] = []
            self._groupings[question] = self.rows_of(query)
        return self._groupings.get(question, [])

    def _fold(self, query: MetricQuery) -> list[Row]:
        query = _as_reported(self._told_days(query))
        if query.end < query.start:
            return []
        reader, texts = self._reader(query), partial(self._texts, query)
        name_small = query.by in self._about
        groups = BucketGroups(reader, query, texts, self._k, self._open_from, name_small=name_small)
        found = groups.buckets()
        rows = fold(found, self._k, groups.merge)
        if name_small:
            told = {(row.bucket, row.key) for row in rows}
            self._folded[_grouping(query)] = {
                bucket.start: {
                    *groups.small[bucket.start],
                    *(group.key for group in bucket.large if (bucket.start, group.key) not in told),
                }
                for bucket in found
                if bucket.start in groups.small
            }
        return rows


def _as_reported(query: MetricQuery) -> MetricQuery:
    """The same question, where an install's latest value says no more than all of them: SQL counts those faster."""
    named = {*query.dimensions, *map(dimension_of, query.filters)}
    return replace(query, count="reported") if query.count == "latest" and named <= {"module"} else query


def _checked(query: MetricQuery) -> list[tuple[str, str]]:
    """The filters whose groupings must tell their values: all but the module, which these keep, or it alone."""
    filters = sorted(query.filters.items())
    return [one for one in filters if one[0] != "module"] or filters


def _by_filter(query: MetricQuery, name: str) -> MetricQuery:
    """The grouping by one of the filters, under the others."""
    others = {other: query.filters[other] for other in query.filters if other != name}
    return replace(query, by=dimension_of(name), filters=others, side_by_side=())


def _grouping(query: MetricQuery) -> _Grouping:
    return query.by, frozenset(query.filters.items())


def fresh_to(engine: Engine) -> str | None:
    """Up to when every collector's beacons are in the figures (RFC 3339); None when no loader has said so in a week."""
    rows = engine.as_user(ServerUser.PRODUCT).query(
        "SELECT min(fresh_to), count() FROM (SELECT loader, max(fresh_to) AS fresh_to FROM freshness_by_loader "
        "WHERE written > now() - INTERVAL 7 DAY GROUP BY loader)"
    )
    moment, loaders = rows[0]
    return moment.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if loaders else None


def days_with_beacons(engine: Engine, start: date, end: date) -> tuple[date | None, frozenset[date]]:
    """The first day ever of which there are beacons of any module, and those days of the span; None for none at all.

    A day that is missing among them is a gap in the data, and no day on which nobody used anything.
    """
    reader = engine.as_user(ServerUser.PRODUCT)
    months = reader.query("SELECT month, groupBitOr(days) FROM installs_by_month GROUP BY month ORDER BY month")
    days = [month + timedelta(days=bit) for month, bits in months for bit in range(31) if bits >> bit & 1]
    return (days[0] if days else None), frozenset(day for day in days if start <= day <= end)
