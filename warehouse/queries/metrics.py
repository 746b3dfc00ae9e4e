"""One definition of each number: the charts, the tables, the CSV files and the read API all come through here.

`parse` turns a query string into a `MetricQuery` (pure), `answer` runs it and folds groups under k. What folding hides
is not told to who asks for it by name either: a filter tells no more than a grouping has rows for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from typing import Any

from core.fields import COUNTRY, DIMENSIONS
from warehouse.engine import Engine
from warehouse.queries.small_groups import OTHER, Group, Overlap, Row, fold, ordered, round_down
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


def answer(engine: Engine, query: MetricQuery, k: int, *, rounded: bool = False) -> dict[str, Any]:
    """The answer of the read API: rows by bucket, then value descending; no group of fewer than k installs.

    `rounded`: no two counts of installs differ by 1 to k - 1, whatever was asked of which days. Raises `EngineError`.
    """
    rows, suppressed = _Question(engine, k).rows_of(query)
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
        "suppressed": suppressed,
        "fresh_to": fresh_to(engine),
        "exact": not rounded,
    }


class _Question:
    """What one answer asks: its question, and the groupings that say in which buckets the filters may be told."""

    def __init__(self, engine: Engine, k: int) -> None:
        self._engine, self._k = engine, k
        self._groupings: dict[tuple[str | None, frozenset[tuple[str, str]]], list[Row]] = {}

    def rows_of(self, query: MetricQuery) -> tuple[list[Row], int]:
        """The rows that may be shown, and how many groups are not among them. Raises `EngineError`."""
        rows, suppressed = self._fold(query)
        shown = {row.bucket for row in rows if row.value is not None}
        withheld = shown - self._named(query, shown)
        suppressed += sum(row.key != OTHER for row in rows if row.bucket in withheld)
        rows = [row for row in rows if row.bucket not in withheld] + [Row(bucket, OTHER, None) for bucket in withheld]
        return ordered(rows), suppressed

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
            self._groupings[question], _ = self.rows_of(query)
        return self._groupings.get(question, [])

    def _fold(self, query: MetricQuery) -> tuple[list[Row], int]:
        rows, parameters = _rows_sql(query)
        figure = "sum(amount)" if query.metric == "feature_uses" else "uniqExact(install)"
        reader = self._engine.as_user(ServerUser.LICENSING if _of_license_plane(query) else ServerUser.PRODUCT)
        groups = [
            Group(bucket.isoformat(), key, value, installs, frozenset(members))
            for bucket, key, value, installs, members in reader.query(
                f"""
                SELECT bucket, key, {figure} AS value, uniqExact(install) AS installs,
                    if(installs < {{k:UInt64}}, groupUniqArray(install), []) AS members
                FROM ({rows}) GROUP BY bucket, key
                """,  # noqa: S608
                {**parameters, "k": self._k},
            )
        ]

        def overlap(members: frozenset[int]) -> Overlap:
            found = reader.query_each(
                f"SELECT DISTINCT bucket, key, install FROM ({rows}) WHERE install IN {{members:Array(UInt64)}}",  # noqa: S608
                "members",
                members,
                parameters,
            )
            return {(bucket.isoformat(), key, install) for bucket, key, install in found}

        return fold(groups, self._k, overlap, add=query.metric == "feature_uses")


def _rows_sql(query: MetricQuery) -> tuple[str, dict[str, Any]]:
    """A SELECT of (bucket, key, install, amount), a row for each install-day that counts, and its parameters."""
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
        f"SELECT {bucket} AS bucket, {key}::String AS key, install, {amount}::UInt64 AS amount "  # noqa: S608
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
