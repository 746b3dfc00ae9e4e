"""One definition of each number: the charts, the tables, the CSV files and the read API all come through here.

`parse` turns a query string into a `MetricQuery` (pure), `answer` runs it and folds groups under k. What folding hides
is not told to who asks for it by name either: a filter tells no more than a grouping has rows for.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from typing import Any

from core.fields import COUNTRY, DIMENSIONS
from warehouse.engine import Engine
from warehouse.queries import disclosure
from warehouse.queries.differencing import Cell
from warehouse.queries.small_groups import OTHER, Bucket, Group, Row, fold, ordered, round_down, withheld
from warehouse.server_users import ServerUser

METRICS = ("installs", "feature_installs", "feature_uses")
# What a row's bucket is called: always a date, the first of it (ISO weeks begin on Monday).
GRAINS = {
    "day": "day",
    "week": "toMonday(day)",
    "month": "toStartOfMonth(day)",
    "period": "{start:Date}",
}
DEFAULT_DAYS = 30
MOST_DAYS = 3660
# Of one answer: four filters take 32 at most, and seldom more than four. What is not found out by then is withheld.
MOST_GROUPINGS = 64
# Of one bucket: the groups beyond the largest are folded, so that invented values cannot fill the memory.
MOST_GROUPS = 2000
# The server takes a parameter of 128 KiB at most.
PORTION = 1000

# The license plane shares no key with the usage plane: a license source can be crossed only with what it holds itself.
LICENSE_DIMENSIONS = ("module", "version", "license_status", "license_source", COUNTRY)


class QueryError(Exception):
    """A query that cannot be answered: a `reason` of the beacons' vocabulary, the parameter, and why in words."""

    def __init__(self, reason: str, param: str, detail: str) -> None:
        super().__init__(f"{param}: {detail}")
        self.reason, self.param, self.detail = reason, param, detail


@dataclass(frozen=True)
class MetricQuery:
    """What is asked for: a metric over the days `start` to `end`, both included; `by` None is no grouping."""

    metric: str
    start: date
    end: date
    grain: str
    by: str | None
    filters: dict[str, str]


def parse(metric: str, args: Mapping[str, str], today: date) -> MetricQuery:
    """Read a query string; empty values count as not given. Raises `QueryError`."""
    given = {name: value for name, value in args.items() if value != ""}
    for name in given:
        if name not in ("from", "to", "grain", "by", *DIMENSIONS):
            raise QueryError("unknown_field", _printable(name), "is no parameter of this query")
    end = _date(given, "to") or today
    start = _date(given, "from") or end - timedelta(days=DEFAULT_DAYS - 1)
    if start > end:
        raise QueryError("out_of_range", "from", "must not be after to")
    if (end - start).days >= MOST_DAYS:
        raise QueryError("out_of_range", "from", f"must be within {MOST_DAYS} days of to")
    grain = given.get("grain", "day")
    if grain not in GRAINS:
        raise QueryError("bad_format", "grain", f"must be one of {', '.join(GRAINS)}")
    by = given.get("by", "none" if metric == "installs" else "feature")
    if by != "none" and by not in DIMENSIONS:
        raise QueryError("bad_format", "by", f"must be none or one of {', '.join(DIMENSIONS)}")
    filters = {name: value for name, value in given.items() if name in DIMENSIONS}
    for name, value in filters.items():
        if len(value) > 64 or not value.isprintable():
            raise QueryError("bad_format", name, "must be printable, 64 characters at most")
    query = MetricQuery(metric, start, end, grain, None if by == "none" else by, filters)
    _check_planes(query)
    return query


def _check_planes(query: MetricQuery) -> None:
    if not _of_license_plane(query):
        return
    if query.metric != "installs":
        raise QueryError(
            "out_of_range", "license_source",
            "license_source is held in the license plane, features in the usage plane; no key joins the two",
        )  # fmt: skip
    for name in [query.by, *query.filters]:
        if name and name not in LICENSE_DIMENSIONS:
            raise QueryError(
                "out_of_range", name,
                f"{name} is held in the usage plane, license_source in the license plane; no key joins the two",
            )  # fmt: skip


def _of_license_plane(query: MetricQuery) -> bool:
    return query.by == "license_source" or "license_source" in query.filters


def _date(args: Mapping[str, str], name: str) -> date | None:
    text = args.get(name)
    if text is None:
        return None
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise QueryError("bad_format", name, "must be a date, YYYY-MM-DD") from None
    if not 1971 <= day.year <= 2148:
        raise QueryError("out_of_range", name, "must be between 1971 and 2148")
    return day


def _printable(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]{1,32}", name) else "query"


def answer(
    engine: Engine,
    query: MetricQuery,
    k: int,
    *,
    rounded: bool = False,
    open_from: date | None = None,
    withhold: Callable[[Iterable[Cell]], set[str]] | None = None,
) -> dict[str, Any]:
    """The answer of the read API: rows by bucket, then value descending; no group of fewer than k installs.

    Each bucket of the span has a row. `rounded`: no two counts of installs differ by 1 to k - 1, whatever was asked of
    which days. `open_from`: figures that hold this day or a later one change in steps of k installs
    (`warehouse/queries/disclosure.py`). `withhold` says which buckets must not be told beside what the asker knows
    (`warehouse/queries/differencing.py`). Raises `EngineError`.
    """
    rows = _Question(engine, k, open_from).rows_of(query)
    if withhold:
        bad = withhold(_cells(query, rows))
        rows = ordered([*(row for row in rows if row.bucket not in bad), *map(withheld, bad)])
    if rounded:
        rows = round_down(rows, k, add=query.metric == "feature_uses")
    return {
        "metric": query.metric,
        "from": query.start.isoformat(),
        "to": query.end.isoformat(),
        "grain": query.grain,
        "by": query.by,
        "k": k,
        "rows": [{"bucket": row.bucket, "key": row.key if query.by else None, "value": row.value} for row in rows],
        "suppressed": sum(row.folded for row in rows),
        "fresh_to": fresh_to(engine),
        "exact": not rounded,
        "open_from": open_from.isoformat() if open_from and open_from <= query.end else None,
    }


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
    """The counts of installs in an answer: who used a feature is one of those who are counted as there."""
    used = {("", "used")} if query.metric != "installs" else set()
    spans = buckets(query)
    for row in rows:
        if row.value is not None:
            conditions = frozenset({*query.filters.items(), *({(query.by, row.key)} if query.by else ()), *used})
            yield Cell(row.bucket, *spans[row.bucket], conditions, row.installs)


class _Question:
    """What one answer asks: its question, and the groupings that say in which buckets the filters may be told."""

    def __init__(self, engine: Engine, k: int, open_from: date | None) -> None:
        self._engine, self._k, self._open_from = engine, k, open_from
        self._groupings: dict[tuple[str | None, frozenset[tuple[str, str]]], list[Row]] = {}

    def rows_of(self, query: MetricQuery) -> list[Row]:
        """The rows that may be shown, and one without a figure for each other bucket. Raises `EngineError`."""
        rows = [row for row in self._fold(query) if row.value is not None]
        named = self._named(query, {row.bucket for row in rows})
        rows = [row for row in rows if row.bucket in named]
        told = {row.bucket for row in rows}
        return ordered([*rows, *(withheld(bucket) for bucket in buckets(query) if bucket not in told)])

    def _named(self, query: MetricQuery, buckets: set[str]) -> set[str]:
        """Those of the buckets in which a grouping by one of the filters, under the others, has its value as a row."""
        named: set[str] = set() if query.filters and self._k > 1 else buckets
        for name, value in sorted(query.filters.items()):
            if buckets <= named:
                break
            others = {other: query.filters[other] for other in query.filters if other != name}
            rows = self._grouping(replace(query, by=name, filters=others))
            named |= {row.bucket for row in rows if row.key == value and row.value is not None}
        return named

    def _grouping(self, query: MetricQuery) -> list[Row]:
        question = query.by, frozenset(query.filters.items())
        if question not in self._groupings and len(self._groupings) < MOST_GROUPINGS:
            self._groupings[question] = []
            self._groupings[question] = self.rows_of(query)
        return self._groupings.get(question, [])

    def _fold(self, query: MetricQuery) -> list[Row]:
        over = disclosure.days_that_count(query.metric, query.end, self._open_from)
        if over < query.start:
            return []
        query = replace(query, end=over)
        reader = self._engine.as_user(ServerUser.LICENSING if _of_license_plane(query) else ServerUser.PRODUCT)
        open_from = self._open_from if self._open_from and self._open_from <= over else None
        groups, parameters = _groups_sql(query, self._k, open_from)
        found = reader.query(
            f"""
            SELECT bucket, groupArrayIf((key, value, installs), large), countIf(NOT large),
                {_together(query, open_from)}
            FROM ({groups}) GROUP BY bucket
            """,  # noqa: S608
            parameters,
        )

        def merge(smallest: Mapping[str, str]) -> dict[str, Group]:
            merged: dict[str, Group] = {}
            for first in range(0, len(smallest), PORTION):
                part = dict(list(smallest.items())[first : first + PORTION])
                told = reader.query(
                    f"""
                    SELECT bucket, {_together(query, open_from, "1")}
                    FROM ({groups}) WHERE has({{buckets:Array(Date)}}, bucket)
                        AND (NOT large OR key = {{keys:Array(String)}}[indexOf({{buckets:Array(Date)}}, bucket)])
                    GROUP BY bucket
                    """,  # noqa: S608
                    {**parameters, "buckets": [date.fromisoformat(start) for start in part], "keys": [*part.values()]},
                )
                merged |= {bucket.isoformat(): Group(OTHER, value, installs) for bucket, value, installs in told}
            return merged

        return fold(
            (
                Bucket(bucket.isoformat(), [Group(*group) for group in large], others, Group(OTHER, value, installs))
                for bucket, large, others, value, installs in found
            ),
            self._k,
            merge,
        )


def _groups_sql(query: MetricQuery, k: int, open_from: date | None) -> tuple[str, dict[str, Any]]:
    """A SELECT of each group with its figure, its installs and whether it is `large` enough to be a row.

    `everybody`, `earlier` and `amount` are what several groups together are counted from.
    """
    rows, parameters = _rows_sql(query)
    earlier = ", uniqExactStateIf(install, day < {open_from:Date}) AS earlier" if open_from else ""
    installs = _stepped("finalizeAggregation(everybody)", "finalizeAggregation(earlier)", open_from)
    sql = f"""
        SELECT *, {installs} AS installs, {"amount" if query.metric == "feature_uses" else "installs"} AS value,
            installs >= {{k:UInt64}}
            AND row_number() OVER (PARTITION BY bucket ORDER BY installs DESC, key) <= {MOST_GROUPS} AS large
        FROM (
            SELECT bucket, key, uniqExactState(install) AS everybody{earlier}, sum(amount) AS amount
            FROM ({rows}) GROUP BY bucket, key
        )
    """  # noqa: S608
    return sql, {**parameters, "k": k, **({"open_from": open_from} if open_from else {})}


def _together(query: MetricQuery, open_from: date | None, which: str = "NOT large") -> str:
    """Two columns, the figure and the installs of several groups together."""
    installs = _stepped(f"uniqExactMergeIf(everybody, {which})", f"uniqExactMergeIf(earlier, {which})", open_from)
    return f"{f'sumIf(amount, {which})' if query.metric == 'feature_uses' else installs}, {installs}"


def _stepped(everybody: str, earlier: str, open_from: date | None) -> str:
    """As `disclosure.stepped`."""
    return f"{earlier} + intDiv({everybody} - {earlier}, {{k:UInt64}}) * {{k:UInt64}}" if open_from else everybody


def _rows_sql(query: MetricQuery) -> tuple[str, dict[str, Any]]:
    """A SELECT of (day, bucket, key, install, amount), a row for each install-day that counts, and its parameters."""
    table = "installs_per_day_by_license_source" if _of_license_plane(query) else "installs_per_day_by_dimension"
    conditions = ["day BETWEEN {start:Date} AND {end:Date}"]
    parameters: dict[str, Any] = {"start": query.start, "end": query.end}
    for name, value in query.filters.items():
        parameters[f"is_{name}"] = value
        if name != "feature":
            conditions.append(f"{name} = {{is_{name}:String}}")
    feature = "feature" in query.filters
    # What counts for a feature: that it was named (installs), or that it was used (the other two).
    named = "reported" if query.metric == "installs" else "mapKeys(uses)"
    if feature:
        conditions.append(f"has({named}, {{is_feature:String}})")
    elif query.metric != "installs":
        conditions.append("notEmpty(uses)")
    key, amount, join = "''", "0", ""
    if query.by == "feature":
        uses = "uses::Array(Tuple(String, UInt64))"
        pairs = "arrayMap(name -> (name, 0), reported)" if query.metric == "installs" else uses
        join = f"ARRAY JOIN {pairs} AS pair"
        key, amount = "pair.1", "pair.2"
        if feature:
            conditions.append("pair.1 = {is_feature:String}")
    else:
        if query.by:
            key = query.by
            conditions.append(f"{query.by} != ''")
        if query.metric == "feature_uses":
            amount = "uses[{is_feature:String}]" if feature else "arraySum(mapValues(uses))"
    bucket = GRAINS[query.grain]
    sql = (
        f"SELECT day, {bucket} AS bucket, {key}::String AS key, install, {amount}::UInt64 AS amount "  # noqa: S608
        f"FROM {table} {join} WHERE {' AND '.join(conditions)}"
    )
    return sql, parameters


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
    (first, count) = reader.query("SELECT min(day), count() FROM installs_per_day_by_dimension")[0]
    days = reader.query(
        "SELECT DISTINCT day FROM installs_per_day_by_dimension WHERE day BETWEEN {start:Date} AND {end:Date}",
        {"start": start, "end": end},
    )
    return first if count else None, frozenset(day for (day,) in days)
