"""The SQL that counts installs by bucket and key, from the tables by month."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from warehouse.engine import Engine
from warehouse.queries import dimensions, month_bits, shard_sums
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.reported_values import ReportedValues, Texts

# Between the two values of a key, and between a bucket and a key. No value contains it.
BETWEEN = "\x1f"
# The most frequent texts of a dimension. Others belong to no series, meet no condition, and rank lowest.
MOST_TEXTS = 2000
COUNTS = ("everybody", "earlier", "amount", "squares")

Statement = tuple[str, dict[str, Any]]  # SQL and its parameters


def table(query: MetricQuery) -> str:
    """Return the table with the dimensions of the plane that answers."""
    return "license_sources_by_month" if query.of_license_plane else "installs_by_month"


def counts_once(query: MetricQuery) -> bool:
    """Whether an install counts under one key of a bucket at most, so that counts of keys add up."""
    return query.count == "latest" and "module" not in query.dimensions


def texts_sql(query: MetricQuery, source: str) -> Statement:
    """Return a SELECT of the different texts of a source."""
    statement = _Statement(query, lambda name: ())
    sql = (
        f"SELECT {source}::String AS value FROM {table(query)} "  # noqa: S608
        f"WHERE {statement.in_span('days')} AND value != '' "
        f"GROUP BY value ORDER BY count() DESC, value LIMIT {MOST_TEXTS}"
    )
    return sql, statement.parameters


def counts_sql(engine: Engine, query: MetricQuery, texts: Texts, open_from: date | None) -> Statement:
    """Return a SELECT of (bucket, key, everybody, earlier, amount, squares): a row for each group.

    `everybody` is its number of installs. `earlier` is the number of those that reported before `open_from`. `amount`
    is the sum of uses, for the metric `feature_uses` only. `squares` is the sum of the squares of each install's
    amount, only if the query reads a sample.
    """
    statement = _Statement(query, texts, open_from)
    if query.divisor > 1 and query.metric == "feature_uses":
        sql = statement.counts_of_amounts()
    elif query.count == "latest":
        sql = statement.counts_of(statement.latest())
    elif query.grain == "day":
        sql = statement.counts_by_day()
    else:
        sql = statement.counts()
    return shard_sums.added_up(engine, sql, ("bucket", "key"), COUNTS), statement.parameters


def together_sql(
    engine: Engine,
    query: MetricQuery,
    texts: Texts,
    open_from: date | None,
    large: Mapping[str, Sequence[str]],
    smallest: Mapping[str, str],
) -> Statement:
    """Return a SELECT of (bucket, everybody, earlier, amount, squares, and these four `with` the smallest large group).

    It counts the installs of all groups of a bucket but its `large` ones, each install once.
    """
    statement = _Statement(query, texts, open_from)
    rows = statement.latest() if query.count == "latest" else statement.reported()
    pair = f"concat(toString(bucket), '{BETWEEN}', key)"
    added = [f"{bucket}{BETWEEN}{key}" for bucket, key in smallest.items()]
    kept = [f"{bucket}{BETWEEN}{key}" for bucket, keys in large.items() for key in keys if key != smallest.get(bucket)]
    common = set.intersection(*(set(keys) - {smallest.get(bucket)} for bucket, keys in large.items()))
    small = statement.none_of(pair, added)
    sql = f"""
        SELECT bucket, countIf(small) AS everybody, countIf(early_small) AS earlier, sum(amount_small) AS amount,
            sum(pow(amount_small, 2)) AS squares, count() AS with_everybody, countIf(early) AS with_earlier,
            sum(amount_both) AS with_amount, sum(pow(amount_both, 2)) AS with_squares
        FROM (
            SELECT bucket, install, max(is_small) AS small, max(is_early AND is_small) AS early_small,
                max(is_early) AS early, sumIf(uses, is_small) AS amount_small, sum(uses) AS amount_both
            FROM (
                SELECT bucket, key, install, early AS is_early, amount AS uses, {small} AS is_small
                FROM ({rows}) WHERE {statement.none_of("key", sorted(common))}
            )
            WHERE has({{buckets:Array(Date)}}, bucket) AND {statement.none_of(pair, kept)}
            GROUP BY bucket, install
        )
        GROUP BY bucket
    """  # noqa: S608
    columns = (*COUNTS, *(f"with_{name}" for name in COUNTS))
    parameters = {**statement.parameters, "buckets": [date.fromisoformat(bucket) for bucket in large]}
    return shard_sums.added_up(engine, sql, ("bucket",), columns), parameters


def install_days_sql(query: MetricQuery) -> Statement:
    """Return a SELECT of the number of install-days in the span, of a module if that is chosen."""
    statement = _Statement(replace(query, divisor=1), lambda name: ())
    sql = f"SELECT sum(bitCount({statement.of_span('days')})) FROM {table(query)} WHERE {statement.in_span('days')}"  # noqa: S608
    if "module" in query.filters:
        sql += f" AND {statement.condition('module', 'module')}"
    return sql, statement.parameters


class _Statement(ReportedValues):
    """A SELECT under construction, with its parameters."""

    def __init__(self, query: MetricQuery, texts: Texts, open_from: date | None = None) -> None:
        super().__init__(query, texts)
        self._open_from = open_from
        if open_from:
            self.parameters["open_from"] = open_from

    # ---- the buckets of a row's days

    def _bucket(self, days: str) -> str:
        """Return the first day of each bucket that has some of the days. Weeks are ISO weeks."""
        day = f"arrayMap(position -> month + position, bitPositionsToArray({days}))"
        return {
            "day": f"arrayJoin({day})",
            "week": f"arrayJoin(arrayDistinct(arrayMap(day -> toMonday(day), {day})))",
            "month": "month",
            "period": "{start:Date}",
        }[self._query.grain]

    def _early(self, days: str) -> str:
        """Return whether some of the days are in the bucket and before `open_from`."""
        if not self._open_from:
            return "0"
        if self._query.grain == "day":
            return "bucket < {open_from:Date}"
        early = month_bits.until(days, self._open_from - timedelta(days=1))
        if self._query.grain == "week":
            return f"arrayExists(position -> toMonday(month + position) = bucket, bitPositionsToArray({early}))"
        return f"{early} != 0"

    def _amount(self) -> str:
        """Return the sum of the uses in the bucket."""
        if self._query.metric != "feature_uses":
            return "0"
        if self._query.grain == "day":
            return "uses[toUInt8(bucket - month + 1)]"
        day_counts = f"bitTest({month_bits.span_bits(self._query.start, self._query.end)}, day - 1)"
        if self._query.grain == "week":
            day_counts += " AND toMonday(month + day - 1) = bucket"
        return f"arraySum((day, count) -> if({day_counts}, count, 0), mapKeys(uses), mapValues(uses))"

    # ---- count=reported: an install counts under each value that it reported

    def reported(self) -> str:
        """Return a SELECT of (bucket, key, install, early, amount). An install may have several rows of a group."""
        days = self.of_span(self._days())
        return (
            f"SELECT {self._bucket(days)} AS bucket, {self._reported_key()} AS key, install, "
            f"{self._early(days)} AS early, {self._amount()}::UInt64 AS amount {self._from_reported()}"
        )

    def counts(self) -> str:
        """Return the groups of `reported`. One SELECT, so that the shards of a cluster aggregate their own rows."""
        days = self.of_span(self._days())
        earlier = f"uniqExactIf(install, {self._early(days)})" if self._open_from else "0::UInt64"
        return (
            f"SELECT {self._bucket(days)} AS bucket, {self._reported_key()} AS key, "
            f"uniqExact(install) AS everybody, {earlier} AS earlier, sum({self._amount()}::UInt64) AS amount, "
            "0::Float64 AS squares "
            f"{self._from_reported()} GROUP BY bucket, key"
        )

    def counts_of_amounts(self) -> str:
        """Return the groups of `reported` with the squares of what each install adds."""
        return f"""
            SELECT bucket, key, count() AS everybody, countIf(is_early) AS earlier, sum(uses) AS amount,
                sum(pow(uses, 2)) AS squares
            FROM (
                SELECT bucket, key, install, max(early) AS is_early, sum(amount) AS uses
                FROM ({self.reported()}) GROUP BY bucket, key, install
            )
            GROUP BY bucket, key
        """  # noqa: S608

    def counts_by_day(self) -> str:
        """Return the groups of `reported` by day. It counts the bits of each day, which is faster than sets of days."""
        rows = (
            f"SELECT {self._reported_key()} AS key, install, month, groupBitOr({self.of_span(self._days())}) AS found "
            f"{self._from_reported()} GROUP BY key, install, month"
        )
        if self._query.metric != "feature_uses":
            return self._bits_counted(rows)
        uses = (
            f"SELECT {self._reported_key()} AS key, month, sumMap(uses) AS uses {self._from_reported()} "
            "GROUP BY key, month"
        )
        return (
            f"SELECT bucket, key, everybody, earlier, uses[toUInt8(bucket - month + 1)] AS amount, squares "  # noqa: S608
            f"FROM ({self._bits_counted(rows)}) AS counts ANY LEFT JOIN ({uses}) AS sums USING (key, month)"
        )

    def _bits_counted(self, rows: str) -> str:
        """Return the groups by day of `rows`: (key, install, month, found), a row for each install of a month."""
        counted = ", ".join(f"countIf(bitTest(found, {position}))" for position in range(31))
        earlier = "if(bucket < {open_from:Date}, everybody, 0)" if self._open_from else "0"
        return (
            f"SELECT month + pair.1 AS bucket, key, month, pair.2 AS everybody, {earlier}::UInt64 AS earlier, "  # noqa: S608
            f"0::UInt64 AS amount, 0::Float64 AS squares FROM (SELECT key, month, "
            f"arrayJoin(arrayFilter(pair -> pair.2 > 0, "
            f"arrayZip(range(31), [{counted}]))) AS pair FROM ({rows}) GROUP BY key, month)"
        )

    def _days(self) -> str:
        if not self._query.of_features:
            return "days"
        return "reported" if self._query.metric == "installs" else "used"

    def _reported_key(self) -> str:
        return _key([self._reported_value(name) for name in self._query.dimensions])

    def _reported_value(self, name: str) -> str:
        return name if name == "feature" else self.rolled_up(name, self._text(name))

    def _text(self, name: str) -> str:
        """Return the SQL of the text that is reported for a dimension."""
        text = dimensions.source(name)
        return f"text_{self._joined().index(text)}" if self._query.of_features and text != "module" else text

    def _joined(self) -> list[str]:
        """Return the texts that the table of features takes from that of installs."""
        named = (*self._query.dimensions, *map(dimensions.dimension_of, self._query.filters))
        return sorted({dimensions.source(name) for name in named} - {"module", "feature"})

    def _from_reported(self) -> str:
        query = self._query
        conditions = [self.in_span(self._days())]
        conditions += [self.condition(name, name if name == "feature" else self._text(dimensions.dimension_of(name)))
                       for name in query.filters]  # fmt: skip
        conditions += [f"{self._reported_value(name)} != ''" for name in query.dimensions if name != "feature"]
        return f"FROM {self._source()} WHERE {' AND '.join(conditions)}"

    def _source(self) -> str:
        if not self._query.of_features:
            return table(self._query)
        texts = self._joined()
        if not texts:
            return "features_by_month"
        named = ", ".join(f"{text} AS text_{number}" for number, text in enumerate(texts))
        module = "AND " + self.condition("module", "module") if "module" in self._query.filters else ""
        return (
            f"features_by_month SEMI LEFT JOIN (SELECT module, install, month, variant, {named} "  # noqa: S608
            f"FROM installs_by_month WHERE {self.in_span('days')} {module}) AS reports "
            "USING (module, install, month, variant)"
        )

    # ---- count=latest: an install counts once, under the value of its latest report

    def latest(self) -> str:
        """Return a SELECT of (bucket, key, install, early, amount): a row for each install and bucket.

        Of the reports of a day the highest value counts. `module` selects the reports, and by module each has its own
        row. The other filters are compared with the latest values. From `open_from` on a report is the latest only if
        there is none before.
        """
        query = self._query
        columns: dict[str, str] = {}  # by reported text
        outer, keys = [], []

        def column(name: str) -> str:
            return columns.setdefault(dimensions.source(name), f"latest_{len(columns)}")

        names = [*map(dimensions.dimension_of, query.filters), *query.dimensions]
        compared = [name for name in names if name != "module"]
        for name in query.filters:
            if name != "module":
                outer.append(self.condition(name, column(dimensions.dimension_of(name))))
        for name in query.dimensions:
            keys.append("module" if name == "module" else self.rolled_up(name, column(name)))
            outer.append(f"{keys[-1]} != ''")
        ranks = {dimensions.source(name): self.place(name) for name in compared}
        where = f" WHERE {' AND '.join(outer)}" if outer else ""
        if query.grain in ("month", "period"):
            rows = self._latest_in_months(columns, ranks)
            return f"SELECT bucket, {_key(keys)} AS key, install, early, 0::UInt64 AS amount FROM ({rows}){where}"  # noqa: S608
        rows = self._latest_in_days(columns, ranks)
        if query.grain == "day":
            return (
                f"SELECT {self._bucket('found')} AS bucket, {_key(keys)} AS key, install, "  # noqa: S608
                f"{self._early('found')} AS early, 0::UInt64 AS amount FROM ({rows}){where}"
            )
        within = ["bucket", "install"] + (["module"] if "module" in query.dimensions else [])
        # The number of a day, higher for all days before `open_from` than for any later one.
        day = "toUInt32(toUInt16(month + position))"
        if self._open_from:
            day += " + if(month + position < {open_from:Date}, 65536, 0)"
        positions = "arrayFilter(position -> toMonday(month + position) = bucket, bitPositionsToArray(found))"
        values = "".join(f", argMax({name}, place) AS {name}" for name in columns.values())
        reports = (
            f"SELECT *, {self._bucket('found')} AS bucket, {positions} AS positions, "  # noqa: S608
            f"arrayMax(position -> {day}, positions) AS place, {self._early('found')} AS early FROM ({rows})"
        )
        latest = (
            f"SELECT {', '.join(within)}, max(early) AS early{values} FROM ({reports}) GROUP BY {', '.join(within)}"  # noqa: S608
        )
        return f"SELECT bucket, {_key(keys)} AS key, install, early, 0::UInt64 AS amount FROM ({latest}){where}"  # noqa: S608

    def counts_of(self, rows: str) -> str:
        """Return the groups of `latest`, which has each install once in a group."""
        return (
            "SELECT bucket, key, count() AS everybody, countIf(early) AS earlier, 0::UInt64 AS amount, "  # noqa: S608
            f"0::Float64 AS squares FROM ({rows}) GROUP BY bucket, key"
        )

    def _latest_in_months(self, columns: Mapping[str, str], ranks: Mapping[str, str]) -> str:
        """Return a SELECT of (bucket, install, module, early, each of the columns), where no bucket splits a month.

        A row's report is its last one: the last before `open_from` if there is one.
        """
        query = self._query
        of_span = self.of_span("days")
        day = f"toUInt64(toUInt16(month)) + {month_bits.last_position(of_span)}"
        if self._open_from:
            earlier = month_bits.until(of_span, self._open_from - timedelta(days=1))
            day = f"if({earlier} != 0, 65536 + toUInt16(month) + {month_bits.last_position(earlier)}, {day})"
        within = ["bucket", "install"] + (["module"] if "module" in query.dimensions else [])
        values = "".join(
            f", argMax({text}::String, bitShiftLeft(({day})::UInt64, 40) + {ranks[text]}) AS {name}"
            for text, name in columns.items()
        )
        conditions = [self.in_span("days")]
        if "module" in query.filters:
            conditions.append(self.condition("module", "module"))
        return (
            f"SELECT {self._bucket('days')} AS bucket, {', '.join(within[1:])}, max({self._early(of_span)}) AS early"  # noqa: S608
            f"{values} FROM {table(query)} WHERE {' AND '.join(conditions)} GROUP BY {', '.join(within)}"
        )

    def _latest_in_days(self, columns: Mapping[str, str], ranks: Mapping[str, str]) -> str:
        """Return a SELECT of (install, month, module, found, each of the columns), with no day of an install twice."""
        per_module = "module" in self._query.dimensions
        within = ["install", "month"] + (["module"] if per_module else [])
        conditions = [self.in_span("days")]
        if "module" in self._query.filters:
            conditions.append(self.condition("module", "module"))
        where = " AND ".join(conditions)
        if not columns:
            return (
                f"SELECT {', '.join(within)}, groupBitOr({self.of_span('days')}) AS found "  # noqa: S608
                f"FROM {table(self._query)} WHERE {where} GROUP BY {', '.join(within)}"
            )
        names, places = list(columns.values()), [f"place_{number}" for number in range(len(columns))]
        texts = ", ".join(f"{text}::String AS {name}" for text, name in columns.items())
        ranked = ", ".join(f"{ranks[text]} AS {place}" for text, place in zip(columns, places, strict=True))
        reports = (
            f"SELECT {', '.join(within)}, {texts}, {ranked}, groupBitOr({self.of_span('days')}) AS days_of_report "  # noqa: S608
            f"FROM {table(self._query)} WHERE {where} GROUP BY {', '.join((*within, *names, *places))}"
        )
        # Most installs report the same values all month. For the others, each day is looked at by itself.
        gathered = ", ".join(f"groupArray({name}) AS {name}_all" for name in (*names, *places))
        same = f"[({', '.join(f'{name}_all[1]' for name in names)}, every_day)]"
        winners = ", ".join(
            f"arrayReduce('argMax', {name}_all, arrayMap((days, place) -> if(bitTest(days, position), place + 1, 0), "
            f"days_all, {place}_all))"
            for name, place in zip(names, places, strict=True)
        )
        by_day = (
            f"arrayMap(position -> ({winners}, bitShiftLeft(1::UInt32, position)::UInt32), "
            "bitPositionsToArray(every_day))"
        )
        differs = " OR ".join(f"length(arrayDistinct({name}_all)) > 1" for name in names)
        taken = ", ".join(f"report.{number} AS {name}" for number, name in enumerate(names, 1))
        return (
            f"SELECT {', '.join(within)}, {taken}, report.{len(names) + 1} AS found FROM ("  # noqa: S608
            f"SELECT {', '.join(within)}, arrayJoin(if({differs}, {by_day}, {same})) AS report FROM ("
            f"SELECT {', '.join(within)}, {gathered}, groupArray(days_of_report) AS days_all, "
            f"groupBitOr(days_of_report) AS every_day FROM ({reports}) GROUP BY {', '.join(within)}))"
        )


def _key(keys: Sequence[str]) -> str:
    if len(keys) > 1:
        return f"concat({keys[0]}, '{BETWEEN}', {keys[1]})"
    return f"{keys[0] if keys else repr('')}::String"
