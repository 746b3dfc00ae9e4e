"""The SQL that counts installs by bucket and key, from the tables by month."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property, partial
from typing import Any

from warehouse.at_once import at_once
from warehouse.engine import Engine
from warehouse.queries import dimensions, month_bits, shard_sums
from warehouse.queries.bucket_select import BETWEEN, key_sql, table
from warehouse.queries.latest_reports import LatestReports
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.reported_values import Texts
from warehouse.queries.small_groups import OTHER

# The most frequent texts of a dimension. Others belong to no series, meet no condition, and rank lowest.
MOST_TEXTS = 2000
# Groups of one answer that are read one by one. More are ranked by ClickHouse.
MOST_READ = 20_000
# The fewest days of a bucket.
_SHORTEST = {"day": 1, "week": 7, "month": 28, "period": 1 << 16}
COUNTS = ("everybody", "earlier", "amount", "squares")
# A number for an install, a month and a variant, which ClickHouse finds faster than these three. Two are the same as
# seldom as the numbers of two installs, which are random.
_REPORT = "bitXor(install, bitShiftLeft(toUInt64(month), 32) + variant)"

Statement = tuple[str, dict[str, Any]]  # SQL and its parameters
# A bucket, a key, its installs, those of them that reported before `open_from`, and the sum of their uses.
Counted = tuple[str, str, int, int, int]


def counts_once(query: MetricQuery) -> bool:
    """Whether an install counts under one key of a bucket at most, so that counts of keys add up."""
    return not query.dimensions or (query.count == "latest" and "module" not in query.dimensions)


def texts_sql(query: MetricQuery, source: str) -> Statement:
    """Return a SELECT of the different texts of a source."""
    statement = _Statement(query, lambda name: ())
    read, days = ("features_by_month", "reported") if source == "feature" else (table(query), "days")
    sql = (
        "SELECT text::String AS value FROM "  # noqa: S608
        # As they are stored, with a dictionary: ClickHouse groups by the numbers of it.
        f"(SELECT {source} AS text, count() AS times FROM {read} WHERE {statement.in_span(days)} AND text != '' "
        f"GROUP BY text) ORDER BY times DESC, value LIMIT {MOST_TEXTS}"
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
        sql = statement.latest_counts()
    elif query.grain == "day":
        sql = statement.counts_by_day()
    elif query.grain == "week" and query.metric != "feature_uses" and statement.weeks <= month_bits.MOST_BUCKETS:
        sql = statement.counts_by_week()
    else:
        sql = statement.counts()
    return shard_sums.added_up(engine, sql, ("bucket", "key"), COUNTS), statement.parameters


def keys_counted(engine: Engine, query: MetricQuery, texts: Texts, open_from: date | None) -> Sequence[Counted] | None:
    """Return all groups of a query that has few: installs by day or week, and the latest texts of one dimension.

    None for other queries, and for more than `MOST_READ` groups. Raises `EngineError`.
    """
    if query.count != "latest":
        return _reported_counted(engine, query, texts, open_from)
    names = [name for name in query.dimensions if name != "module"]
    by_module = len(names) < len(query.dimensions)
    if by_module and not names and query.grain == "period":
        names = ["version"]  # which a page asks for, too: the modules are sums of their versions
    if len(names) != 1:
        return None
    (name,) = names
    if len(texts(dimensions.source(name))) * _most_buckets(query) > MOST_READ:
        return None
    statement = _Statement(query, texts, open_from)
    sql = statement.latest_ranks(name, by_module=by_module)
    sql = shard_sums.added_up(engine, sql, ("bucket", "of_module", "rank"), ("everybody", "earlier"))
    found = engine.query(f"{sql} LIMIT {MOST_READ + 1}", statement.parameters)
    if len(found) > MOST_READ:
        return None
    keys = {**statement.keys(name), 0: ""}
    modules = statement.keys("module") if by_module else {0: ""}
    return [
        (bucket.isoformat(), _key(query, modules[module], keys[rank]), everybody, earlier, 0)
        for bucket, module, rank, everybody, earlier in found
    ]


def _reported_counted(
    engine: Engine, query: MetricQuery, texts: Texts, open_from: date | None
) -> Sequence[Counted] | None:
    statement = _Statement(query, texts, open_from)
    of_uses = query.metric == "feature_uses"
    by_day = query.grain == "day" and not (of_uses and query.divisor > 1)
    by_week = query.grain == "week" and not of_uses and statement.weeks <= month_bits.MOST_BUCKETS
    if not (by_day or by_week) or not statement.has_numbers:
        return None
    if statement.most_keys * _most_buckets(query) > MOST_READ:
        return None

    def read(sql: str, by: Sequence[str], counted: Sequence[str], add: str) -> list[tuple[Any, ...]]:
        return engine.query(shard_sums.added_up(engine, sql, by, counted, add), statement.parameters)

    keys: list[Counted] = []
    if by_day:
        until = open_from.isoformat() if open_from else ""
        by = ("number", "of_month")
        counted = partial(read, statement.days_of_keys(), by, ("everybody",), "sumForEach")
        if of_uses:
            counts, uses = at_once(counted, partial(read, statement.uses_of_keys(), by, ("uses",), "sumMap"))
        else:
            counts, uses = counted(), []
        amounts = {(number, month): days for number, month, days in uses}
        names: dict[date, list[str]] = {}
        for number, month, days in counts:
            key, amount = statement.key_of(number), amounts.get((number, month), {})
            if month not in names:
                names[month] = [(month + timedelta(days=bit)).isoformat() for bit in range(len(days))]
            for bit, (day, everybody) in enumerate(zip(names[month], days, strict=True), 1):
                if everybody:
                    earlier = everybody if day < until else 0
                    keys.append((day, key, everybody, earlier, amount.get(bit, 0)))
    else:
        mondays = [monday.isoformat() for monday in statement.mondays]
        for number, *weeks in read(statement.weeks_of_keys(), ("number",), ("everybody", "earlier"), "sumForEach"):
            key = statement.key_of(number)
            keys += [(monday, key, *each, 0) for monday, *each in zip(mondays, *weeks, strict=True) if each[0]]
    return keys


def _most_buckets(query: MetricQuery) -> int:
    return ((query.end - query.start).days + 1) // _SHORTEST[query.grain] + 2


def _key(query: MetricQuery, module: str, value: str) -> str:
    """Return the key of a module and of the value of another dimension, empty if one of them is missing."""
    values = [module if name == "module" else value for name in query.dimensions]
    if "" in values:
        return ""
    return OTHER if OTHER in values else BETWEEN.join(values)


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
    together = statement.latest_together if query.count == "latest" else statement.together
    sql = together(large, smallest)
    parameters = {**statement.parameters, "buckets": [date.fromisoformat(bucket) for bucket in large]}
    return shard_sums.added_up(engine, sql, ("bucket",), (*COUNTS, *(f"with_{name}" for name in COUNTS))), parameters


def _without(large: Mapping[str, Sequence[str]], smallest: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the large groups of each bucket but its smallest."""
    return {bucket: [key for key in keys if key != smallest.get(bucket)] for bucket, keys in large.items()}


def install_days_sql(query: MetricQuery) -> Statement:
    """Return a SELECT of the number of install-days in the span, of a module if that is chosen."""
    statement = _Statement(replace(query, divisor=1), lambda name: ())
    sql = f"SELECT sum(bitCount({statement.of_span('days')})) FROM {table(query)} WHERE {statement.in_span('days')}"  # noqa: S608
    if "module" in query.filters:
        sql += f" AND {statement.condition('module', 'module')}"
    return sql, statement.parameters


class _Statement(LatestReports):
    """Builds SELECTs of `count=reported` as well: an install counts under each value that it reported."""

    def reported(self) -> str:
        """Return a SELECT of (bucket, key, install, early, amount). An install may have several rows of a group."""
        days = self.of_span(self._days())
        return (
            f"SELECT {self.bucket(days)} AS bucket, {self._reported_key()} AS key, install, "
            f"{self.early(days)} AS early, {self.amount()}::UInt64 AS amount {self._from_reported()}"
        )

    def together(self, large: Mapping[str, Sequence[str]], smallest: Mapping[str, str]) -> str:
        """Return the counts of `together_sql` of `reported`."""
        pair = f"concat(toString(bucket), '{BETWEEN}', key)"
        added = [f"{bucket}{BETWEEN}{key}" for bucket, key in smallest.items()]
        kept = [f"{bucket}{BETWEEN}{key}" for bucket, keys in _without(large, smallest).items() for key in keys]
        common = set.intersection(*map(set, _without(large, smallest).values()))
        small = self.none_of(pair, "String", added)
        return f"""
            SELECT bucket, countIf(small) AS everybody, countIf(early_small) AS earlier, sum(amount_small) AS amount,
                sum(pow(amount_small, 2)) AS squares, count() AS with_everybody, countIf(early) AS with_earlier,
                sum(amount_both) AS with_amount, sum(pow(amount_both, 2)) AS with_squares
            FROM (
                SELECT bucket, install, max(is_small) AS small, max(is_early AND is_small) AS early_small,
                    max(is_early) AS early, sumIf(uses, is_small) AS amount_small, sum(uses) AS amount_both
                FROM (
                    SELECT bucket, key, install, early AS is_early, amount AS uses, {small} AS is_small
                    FROM ({self.reported()}) WHERE {self.none_of("key", "String", sorted(common))}
                )
                WHERE has({{buckets:Array(Date)}}, bucket) AND {self.none_of(pair, "String", kept)}
                GROUP BY bucket, install
            )
            GROUP BY bucket
        """  # noqa: S608

    def latest_together(self, large: Mapping[str, Sequence[str]], smallest: Mapping[str, str]) -> str:
        """Return the counts of `together_sql` of the latest reports, which have no amounts."""

        def numbers(keys: Mapping[str, Sequence[str]]) -> list[int]:
            return [number for bucket in keys for number in self.numbers_of(date.fromisoformat(bucket), keys[bucket])]

        small = self.none_of("number", "UInt64", numbers({bucket: [key] for bucket, key in smallest.items()}))
        kept = self.none_of("number", "UInt64", numbers(_without(large, smallest)))
        none = "0::UInt64 AS {0}amount, 0::Float64 AS {0}squares"
        return f"""
            SELECT bucket, uniqExactIf(install, small) AS everybody, uniqExactIf(install, early AND small) AS earlier,
                {none.format("")}, uniqExact(install) AS with_everybody, uniqExactIf(install, early) AS with_earlier,
                {none.format("with_")}
            FROM (
                SELECT bucket, install, early, {small} AS small FROM ({self.latest_numbers()})
                WHERE has({{buckets:Array(Date)}}, bucket) AND {kept}
            )
            GROUP BY bucket
        """  # noqa: S608

    def counts(self) -> str:
        """Return the groups of `reported`. One SELECT, so that the shards of a cluster aggregate their own rows."""
        days = self.of_span(self._days())
        earlier = f"uniqExactIf(install, {self.early(days)})" if self._open_from else "0::UInt64"
        return (
            f"SELECT {self.bucket(days)} AS bucket, {self._reported_key()} AS key, "
            f"uniqExact(install) AS everybody, {earlier} AS earlier, sum({self.amount()}::UInt64) AS amount, "
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

    def days_of_keys(self) -> str:
        """Return a SELECT of (number, of_month, everybody): of a key and a month, the installs by day, from the first.

        It counts the bits of each day, which is faster than sets of days.
        """
        days = month_bits.paired(f"groupBitOr({self.of_span(self._days())})")
        rows = self._bits_of_installs(["month"], f"{days} AS found")
        return (
            f"SELECT number, month AS of_month, {month_bits.counted_by_day('found')} AS everybody "  # noqa: S608
            f"FROM ({rows}) GROUP BY number, month"
        )

    def counts_by_day(self) -> str:
        """Return the groups of `reported` by day."""
        earlier = "if(bucket < {open_from:Date}, everybody, 0)" if self._open_from else "0"
        counts = (
            f"SELECT of_month + pair.1 AS bucket, {self._key_of('number')} AS key, of_month AS month, "  # noqa: S608
            f"pair.2 AS everybody, {earlier}::UInt64 AS earlier, 0::UInt64 AS amount, 0::Float64 AS squares "
            "FROM (SELECT number, of_month, arrayJoin(arrayFilter(pair -> pair.2 > 0, arrayZip(range(32), everybody))) "
            f"AS pair FROM ({self.days_of_keys()}))"
        )
        if self._query.metric != "feature_uses":
            return counts
        return (
            f"SELECT bucket, key, everybody, earlier, uses[toUInt8(bucket - month + 1)] AS amount, squares "  # noqa: S608
            f"FROM ({counts}) AS counts ANY LEFT JOIN (SELECT {self._key_of('number')} AS key, of_month AS month, uses "
            f"FROM ({self.uses_of_keys()})) AS sums USING (key, month)"
        )

    def uses_of_keys(self) -> str:
        """Return a SELECT of (number, of_month, uses): of a key and a month, the uses by day of the month."""
        return (
            f"SELECT {self._key_number()} AS number, month AS of_month, sumMap(uses) AS uses "
            f"{self._from_reported()} GROUP BY number, of_month"
        )

    @cached_property
    def mondays(self) -> list[date]:
        """The weeks of the span."""
        return list(month_bits.week_masks(self._query.start, self._query.end))

    def weeks_of_keys(self) -> str:
        """Return a SELECT of (number, everybody, earlier): of a key, the installs of each of the weeks.

        Each install of a key has its days by month, and a week looks at the one or two months that it lies in.
        """
        query, found = self._query, self._days()
        months = month_bits.months(query.start, query.end)
        names = {month: f"month_{number}" for number, month in enumerate(months)}
        days = ", ".join(f"groupBitOrIf({found}, month = '{month}'::Date) AS {name}" for month, name in names.items())

        def counted(until: date) -> str:
            masks = month_bits.week_masks(query.start, until) if until >= query.start else {}
            counts = [self._installs_with(masks.get(monday, {}), names) for monday in self.mondays]
            return f"[{', '.join(counts)}]::Array(UInt64)"

        earlier = self._open_from - timedelta(days=1) if self._open_from else query.start - timedelta(days=1)
        return (
            f"SELECT number, {counted(query.end)} AS everybody, {counted(min(earlier, query.end))} AS earlier "  # noqa: S608
            f"FROM ({self._bits_of_installs([], days)}) GROUP BY number"
        )

    def counts_by_week(self) -> str:
        """Return the groups of `reported` by week."""
        mondays = ", ".join(f"'{monday}'::Date" for monday in self.mondays)
        return (
            f"SELECT counts.1 AS bucket, {self._key_of('number')} AS key, counts.2 AS everybody, counts.3 AS earlier, "  # noqa: S608
            "0::UInt64 AS amount, 0::Float64 AS squares FROM (SELECT number, "
            f"arrayJoin(arrayFilter(each -> each.2 > 0, arrayZip([{mondays}], everybody, earlier))) AS counts "
            f"FROM ({self.weeks_of_keys()}))"
        )

    @staticmethod
    def _installs_with(masks: Mapping[date, int], names: Mapping[date, str]) -> str:
        """Return the number of rows that have some of the days of months, which are in these columns."""
        tests = [f"bitAnd({names[month]}, {mask}) != 0" for month, mask in masks.items()]
        return f"countIf({' OR '.join(tests)})" if tests else "0"

    def _bits_of_installs(self, within: Sequence[str], bits: str) -> str:
        """Return a SELECT of (number of a key, install, `within`, `bits`), a row for each install of a key."""
        columns = ", ".join(["install", *within])
        # A value that has arrived since the texts were listed has no number, and is counted the next time.
        known = " AND ".join(f"{part} != 0" for part in self._parts("number")) if self._numbers else "true"
        return (
            f"SELECT {self._key_number()} AS number, {columns}, {bits} {self._from_reported()} "
            f"GROUP BY number, {columns} HAVING {known}"
        )

    @cached_property
    def _numbers(self) -> list[dict[str, int]]:
        """The numbers of the values of each dimension; none where a dimension may have more than it has texts.

        ClickHouse groups rows by numbers twice as fast as by texts.
        """
        found = []
        for name in self._query.dimensions:
            texts = self._texts(dimensions.source(name))
            if len(texts) >= MOST_TEXTS:
                return []
            values = {dimensions.roll_up(name, text) for text in texts} - {""}
            found.append({value: number for number, value in enumerate(sorted(values), 1)})
        return found

    @property
    def has_numbers(self) -> bool:
        """Whether a number stands for each key."""
        return not self._query.dimensions or bool(self._numbers)

    @property
    def most_keys(self) -> int:
        """The most keys that there may be, where numbers stand for them."""
        return math.prod(map(len, self._numbers))

    def key_of(self, number: int) -> str:
        """Return the key that a number stands for."""
        if not self._numbers:
            return ""
        places = divmod(number, MOST_TEXTS) if len(self._numbers) > 1 else [number]
        return BETWEEN.join(values[place] for values, place in zip(self._values, places, strict=True))

    @cached_property
    def _values(self) -> list[dict[int, str]]:
        return [{number: value for value, number in numbers.items()} for numbers in self._numbers]

    def _key_number(self) -> str:
        """Return the SQL of a number that stands for the key of a row; the key itself where keys have no numbers.

        With 32 bits, ClickHouse groups by it and an install faster than with 64.
        """
        if not self._query.dimensions:
            return "0::UInt32"
        if not self._numbers:
            return self._reported_key()
        parts = []
        for name, numbers in zip(self._query.dimensions, self._numbers, strict=True):
            texts = self._texts(dimensions.source(name))
            pairs = [(text, numbers.get(dimensions.roll_up(name, text), 0)) for text in texts]
            parts.append(self.transformed("feature" if name == "feature" else self._text(name), pairs, "UInt32"))
        return f"({f' * {MOST_TEXTS} + '.join(parts)})::UInt32"

    def _key_of(self, number: str) -> str:
        """Return the SQL of the key that `_key_number` stands for."""
        if not self._query.dimensions:
            return key_sql([])
        if not self._numbers:
            return number
        return key_sql([self.named(*each) for each in zip(self._parts(number), self._numbers, strict=True)])

    def _parts(self, number: str) -> list[str]:
        """Return the SQL of the numbers of the values in that of a key."""
        last = f"{number} % {MOST_TEXTS}"
        return [f"intDiv({number}, {MOST_TEXTS})", last] if len(self._numbers) > 1 else [last]

    def _days(self) -> str:
        if self._query.metric != "installs":
            return "used"
        return "reported" if self._query.of_features else "days"

    def _reported_key(self) -> str:
        return key_sql([self._reported_value(name) for name in self._query.dimensions])

    def _reported_value(self, name: str) -> str:
        return name if name == "feature" else self.rolled_up(name, self._text(name))

    def _text(self, name: str) -> str:
        """Return the SQL of the text that is reported for a dimension."""
        text = dimensions.source(name)
        return f"text_{self._joined().index(text)}" if self._query.of_features and text != "module" else text

    def _joined(self) -> list[str]:
        """Return the texts that the table of features takes from that of installs."""
        return sorted({dimensions.source(name) for name in self._query.dimensions} - {"module", "feature"})

    def _of_source(self, name: str) -> bool:
        """Whether the table that is counted has the text of a filter itself."""
        return not self._query.of_features or dimensions.dimension_of(name) in ("module", "feature")

    def _conditions(self, chosen: Callable[[str], bool]) -> list[str]:
        """Return the filters that are chosen by their names."""
        names = {name: dimensions.dimension_of(name) for name in self._query.filters if chosen(name)}
        return [
            self.condition(name, "feature" if dimension == "feature" else dimensions.source(dimension))
            for name, dimension in names.items()
        ]

    def _from_reported(self) -> str:
        query = self._query
        conditions = [self.in_span(self._days()), *self._conditions(self._of_source)]
        conditions += [f"{self._reported_value(name)} != ''" for name in query.dimensions if name != "feature"]
        if query.among:
            conditions.append(f"{query.by} IN {{{self.parameter(list(query.among))}:Array(String)}}")
        source = "features_by_month" if query.of_features else table(query)
        texts, of_reports = self._joined(), self._conditions(lambda name: not self._of_source(name))
        # The same variant on an install means the same values, whatever the module is.
        if query.of_features and texts:
            named = "".join(f", {text} AS text_{number}" for number, text in enumerate(texts))
            reports = self._reports(f"install, month, variant{named}", of_reports)
            source += f" SEMI LEFT JOIN ({reports}) AS reports USING (install, month, variant)"
        elif of_reports:
            conditions.append(f"{_REPORT} IN ({self._reports(_REPORT, of_reports)})")
        return f"FROM {source} WHERE {' AND '.join(conditions)}"

    def _reports(self, columns: str, conditions: Sequence[str]) -> str:
        """Return a SELECT of the reports of the span that meet the conditions."""
        module = [self.condition("module", "module")] if "module" in self._query.filters else []
        return (
            f"SELECT {columns} FROM installs_by_month "  # noqa: S608
            f"WHERE {' AND '.join([self.in_span('days'), *conditions, *module])}"
        )
