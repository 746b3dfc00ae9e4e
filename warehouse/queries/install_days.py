"""The install-days that a question is about, as SQL: which count, in which bucket, under which key.

What was reported is few different texts. `texts` lists them, Python rolls them up, ranks and selects them, and
SQL gets the outcome as parameters.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

from warehouse.queries import dimensions
from warehouse.queries.metric_query import MetricQuery

# What a row's bucket is called: always a date, the first of it (ISO weeks begin on Monday).
GRAINS = {
    "day": "day",
    "week": "toMonday(day)",
    "month": "toStartOfMonth(day)",
    "period": "{start:Date}",
}
# Between the two values of a key. No value holds it.
BETWEEN = "\x1f"
# Of one dimension, the most frequent. Others are no part of a series, meet no condition, and rank lowest.
MOST_TEXTS = 2000
# A server takes a parameter of 128 KiB at most.
PORTION = 1000
# Of a report's place in the order of its install: the day, the rank of its module's version, the rank of its value.
_RANK_BITS = 20

Texts = Callable[[str], Sequence[str]]  # the different texts of a source, most frequent first


def table(query: MetricQuery) -> str:
    """The table of the plane that answers."""
    license_plane = "installs_per_day_by_license_source"
    return license_plane if query.of_license_plane else "installs_per_day_by_dimension"


def texts_sql(query: MetricQuery, source: str) -> tuple[str, dict[str, Any]]:
    """A SELECT of the different texts of a source."""
    return (
        f"SELECT {source}::String AS value FROM {table(query)} WHERE day BETWEEN {{start:Date}} AND {{end:Date}} "  # noqa: S608
        f"AND value != '' GROUP BY value ORDER BY count() DESC, value LIMIT {MOST_TEXTS}",
        {"start": query.start, "end": query.end},
    )


def install_days_sql(query: MetricQuery, texts: Texts, open_from: date | None) -> tuple[str, dict[str, Any]]:
    """A SELECT of (day, bucket, key, install, amount), a row for each install-day that counts, and its parameters.

    With `count=latest`: a row for each install and bucket. Its day is the first on which the install reported.
    """
    statement = _Statement(query, texts)
    return statement.latest(open_from) if query.count == "latest" else statement.reported()


class _Statement:
    """A SELECT under construction, with its parameters."""

    def __init__(self, query: MetricQuery, texts: Texts) -> None:
        self._query, self._texts = query, texts
        self._parameters: dict[str, Any] = {"start": query.start, "end": query.end}

    def reported(self) -> tuple[str, dict[str, Any]]:
        """An install counts under each value that it reported."""
        query = self._query
        conditions = ["day BETWEEN {start:Date} AND {end:Date}"]
        feature = query.filters.get("feature")
        conditions += [self._condition(name, dimensions.source(dimensions.dimension_of(name)))
                       for name in query.filters if name != "feature"]  # fmt: skip
        if feature is not None:
            self._parameters["feature"] = feature
        # What counts for a feature: that it was named (installs), or that it was used (the other two).
        named = "reported" if query.metric == "installs" else "mapKeys(uses)"
        if feature is not None:
            conditions.append(f"has({named}, {{feature:String}})")
        elif query.metric != "installs":
            conditions.append("notEmpty(uses)")
        amount, join = "0", ""
        if "feature" in query.dimensions:
            uses = "uses::Array(Tuple(String, UInt64))"
            pairs = "arrayMap(name -> (name, 0), reported)" if query.metric == "installs" else uses
            join = f"ARRAY JOIN {pairs} AS pair"
            amount = "pair.2"
            if feature is not None:
                conditions.append("pair.1 = {feature:String}")
        elif query.metric == "feature_uses":
            amount = "uses[{feature:String}]" if feature is not None else "arraySum(mapValues(uses))"
        keys = []
        for name in query.dimensions:
            text = dimensions.source(name)
            keys.append("pair.1" if name == "feature" else self._rolled_up(name, text))
            if name != "feature":
                conditions.append(f"{keys[-1]} != ''")
        sql = (
            f"SELECT day, {GRAINS[query.grain]} AS bucket, {_key(keys)} AS key, install, {amount}::UInt64 AS amount "  # noqa: S608
            f"FROM {table(query)} {join} WHERE {' AND '.join(conditions)}"
        )
        return sql, self._parameters

    def latest(self, open_from: date | None) -> tuple[str, dict[str, Any]]:
        """An install counts once, under the value of its latest report; of the reports of a day the highest value does.

        `module` restricts which reports there are, and by module each has its own. The other filters are held against
        the latest values. From `open_from` on a report is the latest only where there is none before.
        """
        query = self._query
        inner = ["day BETWEEN {start:Date} AND {end:Date}"]
        within = [GRAINS[query.grain] + " AS bucket", "install"]
        columns: dict[str, str] = {}
        outer, keys = [], []
        day = "toUInt64(toUInt16(day))"
        if open_from:
            self._parameters["open_from"] = open_from
            day = f"({day} + if(day < {{open_from:Date}}, 65536, 0))"

        def latest(name: str) -> str:
            text = dimensions.source(name)
            if text not in columns:
                column = f"latest_{len(columns)}"
                place = f"bitShiftLeft({day}, {2 * _RANK_BITS})"
                if name not in dimensions.COMPARED:
                    place += f" + bitShiftLeft({self._rank('version')}, {_RANK_BITS})"
                columns[text] = column
                within.append(f"argMax({text}, {place} + {self._rank(name)})::String AS {column}")
            return columns[text]

        for name in query.filters:
            if name == "module":
                inner.append(self._condition(name, name))
            else:
                outer.append(self._condition(name, latest(dimensions.dimension_of(name))))
        for name in query.dimensions:
            if name == "module":
                within.append("module")
            keys.append("module" if name == "module" else self._rolled_up(name, latest(name)))
            outer.append(f"{keys[-1]} != ''")
        by_module = ", module" if "module" in query.dimensions else ""
        sql = (
            f"SELECT first_day AS day, bucket, {_key(keys)} AS key, install, 0::UInt64 AS amount "  # noqa: S608
            f"FROM (SELECT {', '.join(within)}, min(day) AS first_day FROM {table(query)} "
            f"WHERE {' AND '.join(inner)} GROUP BY bucket, install{by_module})"
            f"{' WHERE ' if outer else ''}{' AND '.join(outer)}"
        )
        return sql, self._parameters

    def _condition(self, name: str, text: str) -> str:
        """The SQL of a filter on the reported `text`."""
        dimension, wanted = dimensions.dimension_of(name), self._query.filters[name]
        if name == dimension and dimension not in dimensions.SERIES:
            return f"{text} = {{{self._parameter(wanted)}:String}}"
        reported = self._texts(dimensions.source(dimension))
        found = [one for one in reported if dimensions.matches(name, wanted, dimensions.roll_up(dimension, one))]
        portions = [f"{text} IN {{{self._parameter(part)}:Array(String)}}" for part in _portions(found)]
        return f"({' OR '.join(portions)})" if portions else "false"

    def _rolled_up(self, name: str, text: str) -> str:
        """The SQL of a dimension's value, given that of the reported text."""
        if name not in dimensions.SERIES:
            return text
        pairs = [(one, dimensions.roll_up(name, one)) for one in self._texts(dimensions.source(name))]
        return self._transformed(text, [pair for pair in pairs if pair[0] != pair[1]], "String")

    def _rank(self, name: str) -> str:
        """The SQL of a reported text's rank, from 1 on."""
        text = dimensions.source(name)
        ordered = sorted(self._texts(text), key=lambda one: dimensions.order(name, one))
        ranks = [(one, rank) for rank, one in enumerate(ordered, 1)]
        return f"toUInt64({self._transformed(text, ranks, 'UInt32')})"

    def _transformed(self, text: str, pairs: Sequence[tuple[str, Any]], kind: str) -> str:
        otherwise = "" if kind == "String" else f", 0::{kind}"
        if not pairs:
            return text if kind == "String" else f"0::{kind}"
        before = self._array("String", [one for one, _ in pairs])
        after = self._array(kind, [other for _, other in pairs])
        return f"transform({text}, {before}, {after}{otherwise})"

    def _array(self, kind: str, items: Sequence[Any]) -> str:
        portions = [f"{{{self._parameter(part)}:Array({kind})}}" for part in _portions(items)]
        return portions[0] if len(portions) == 1 else f"arrayConcat({', '.join(portions)})"

    def _parameter(self, value: Any) -> str:
        name = f"given_{len(self._parameters)}"
        self._parameters[name] = value
        return name


def _key(keys: Sequence[str]) -> str:
    if len(keys) > 1:
        return f"concat({keys[0]}, '{BETWEEN}', {keys[1]})"
    return f"{keys[0] if keys else repr('')}::String"


def _portions(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[first : first + PORTION] for first in range(0, len(items), PORTION))
