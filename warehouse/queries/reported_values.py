"""The SQL of the values of dimensions, and of filters on them.

Reported values are few different texts. A query lists them, Python rolls them up, ranks and selects them, and SQL gets
the result as parameters.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from warehouse.queries import dimensions, month_bits
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.small_groups import OTHER

# A server takes a parameter of 128 KiB at most.
PORTION = 1000
# Two ranks in one number: the rank of the module's version, then the rank of the value. A dimension has few texts
# (`MOST_TEXTS`), and above two ranks there is room for the days of a month.
RANK_BITS = 11
# The rank of no text, that of a text which is not among the most frequent, and the lowest rank of those.
_NO_TEXT, _RARE_TEXT, _LOWEST = 0, 1, 2

Texts = Callable[[str], Sequence[str]]  # the different texts of a source, most frequent first


class ReportedValues:
    """Builds expressions on the reported values for one statement. `parameters` are those of the statement."""

    def __init__(self, query: MetricQuery, texts: Texts) -> None:
        self._query, self._texts = query, texts
        self.parameters: dict[str, Any] = {
            "start": query.start,
            "end": query.end,
            "first_month": query.start.replace(day=1),
            "last_month": query.end.replace(day=1),
        }
        if query.divisor > 1:
            self.parameters["sample"] = 2**64 // query.divisor

    def in_span(self, days: str) -> str:
        """Return the condition that a row has a day of the span, and that its install counts."""
        in_months = "month BETWEEN {first_month:Date} AND {last_month:Date}"
        return f"{in_months} AND {self.of_span(days)} != 0{self.chosen()}"

    def chosen(self) -> str:
        """Return the condition that an install counts, after an AND: that it is in the sample, and established."""
        conditions = [" AND install < {sample:UInt64}"] if self._query.divisor > 1 else []
        if self._query.established:
            table, seen = "installs", "max(last_received) > min(first_received)"
            if self._query.of_license_plane:
                table, seen = "license_sources_by_month", "max(month) > min(month) OR bitCount(groupBitOr(days)) > 1"
            conditions.append(f" AND install IN (SELECT install FROM {table} GROUP BY install HAVING {seen})")  # noqa: S608
        return "".join(conditions)

    def of_span(self, days: str) -> str:
        """Return those of the days that are in the span."""
        return month_bits.span(days, self._query.start, self._query.end)

    def condition(self, name: str, text: str) -> str:
        """Return the SQL of a filter on the reported `text`."""
        dimension, wanted = dimensions.dimension_of(name), self._query.filters[name]
        if name == dimension and dimension not in dimensions.SERIES:
            return f"{text} = {{{self.parameter(wanted)}:String}}"
        reported = self._texts(dimensions.source(dimension))
        found = [one for one in reported if dimensions.matches(name, wanted, dimensions.roll_up(dimension, one))]
        portions = [f"{text} IN {{{self.parameter(part)}:Array(String)}}" for part in _portions(found)]
        return f"({' OR '.join(portions)})" if portions else "false"

    def none_of(self, value: str, kind: str, values: Sequence[Any]) -> str:
        """Return the condition that a value is none of these, which are of a type."""
        portions = [f"{value} NOT IN {{{self.parameter(part)}:Array({kind})}}" for part in _portions(values)]
        return f"({' AND '.join(portions)})" if portions else "true"

    def rolled_up(self, name: str, text: str) -> str:
        """Return the SQL of a dimension's value, given that of the reported text."""
        if name not in dimensions.SERIES:
            return text
        pairs = [(one, dimensions.roll_up(name, one)) for one in self._texts(dimensions.source(name))]
        return self.transformed(text, [pair for pair in pairs if pair[0] != pair[1]], "String")

    def rank(self, name: str) -> str:
        """Return the SQL of a reported text's rank: 0 for none, 1 for those that are not among the most frequent."""
        ranks = [*self._ranks(name), ("", _NO_TEXT)]
        return f"toUInt64({self.transformed(dimensions.source(name), ranks, 'UInt32', _RARE_TEXT)})"

    def _ranks(self, name: str) -> list[tuple[str, int]]:
        texts = self._texts(dimensions.source(name))
        return [(text, rank) for rank, text in enumerate(sorted(texts, key=partial(dimensions.order, name)), _LOWEST)]

    def ranked(self, name: str, rank: str) -> str:
        """Return the SQL of a dimension's value, given the rank of the reported text; `(other)` for rare texts."""
        return self._mapped(rank, "UInt32", list(self.keys(name).items()), "String", "''")

    def keys(self, name: str) -> dict[int, str]:
        """Return a dimension's values by the rank of the reported text; `(other)` for rare texts."""
        return {rank: dimensions.roll_up(name, text) for text, rank in self._ranks(name)} | {_RARE_TEXT: OTHER}

    def value_numbers(self, name: str) -> dict[str, int]:
        """Return a number for each of a dimension's values: the lowest rank of its texts."""
        return {value: rank for rank, value in reversed(self.keys(name).items())}

    def value_number(self, name: str, rank: str) -> str:
        """Return the SQL of the number of a dimension's value, given the rank of the reported text."""
        if name not in dimensions.SERIES:
            return f"toUInt64({rank})"
        numbers = self.value_numbers(name)
        pairs = [(each, numbers[value]) for each, value in self.keys(name).items()]
        return self._mapped(rank, "UInt32", pairs, "UInt64", "0::UInt64")

    def rank_condition(self, name: str, rank: str) -> str:
        """Return the SQL of a filter on the rank of a reported text. A rare text meets no filter."""
        dimension, wanted = dimensions.dimension_of(name), self._query.filters[name]
        found = [
            number
            for text, number in self._ranks(dimension)
            if dimensions.matches(name, wanted, dimensions.roll_up(dimension, text))
        ]
        portions = [f"{rank} IN {{{self.parameter(part)}:Array(UInt32)}}" for part in _portions(found)]
        return f"({' OR '.join(portions)})" if portions else "false"

    def place(self, name: str, rank: Callable[[str], str] | None = None) -> str:
        """Return the SQL of a report's rank among the reports of a day, for one dimension, given that of a rank."""
        rank = rank or self.rank
        if name in dimensions.COMPARED:
            return rank(name)
        return f"bitShiftLeft({rank('version')}, {RANK_BITS}) + {rank(name)}"

    def rolled_up_rank(self, name: str) -> str:
        """Return the SQL of the rank of a dimension's value, given the reported text, from 1 on."""
        rolled = {text: dimensions.roll_up(name, text) for text in self._texts(dimensions.source(name))}
        ordered = sorted(set(rolled.values()), key=lambda one: dimensions.order(name, one))
        ranks = {value: rank for rank, value in enumerate(ordered, 1)}
        pairs = [(text, ranks[value]) for text, value in rolled.items()]
        return f"toUInt64({self.transformed(dimensions.source(name), pairs, 'UInt32')})"

    def transformed(self, text: str, pairs: Sequence[tuple[str, Any]], kind: str, otherwise: int = 0) -> str:
        """Return the SQL of what the pairs map a text to; other texts stay as they are, or become a number."""
        if not pairs:
            return text if kind == "String" else f"{otherwise}::{kind}"
        return self._mapped(text, "String", pairs, kind, "" if kind == "String" else f"{otherwise}::{kind}")

    def named(self, number: str, numbers: Mapping[str, int]) -> str:
        """Return the SQL of the text that a number stands for, which is empty for other numbers."""
        if not numbers:
            return "''"
        return self._mapped(number, "UInt64", [(each, text) for text, each in numbers.items()], "String", "''")

    def _mapped(self, value: str, kind: str, pairs: Sequence[tuple[Any, Any]], to: str, otherwise: str) -> str:
        before, after = self._array(kind, [one for one, _ in pairs]), self._array(to, [other for _, other in pairs])
        return f"transform({value}, {before}, {after}{otherwise and f', {otherwise}'})"

    def _array(self, kind: str, items: Sequence[Any]) -> str:
        portions = [f"{{{self.parameter(part)}:Array({kind})}}" for part in _portions(items)]
        return portions[0] if len(portions) == 1 else f"arrayConcat({', '.join(portions)})"

    def parameter(self, value: Any) -> str:
        """Add a value to the parameters; returns its name."""
        name = f"given_{len(self.parameters)}"
        self.parameters[name] = value
        return name


def _portions(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[first : first + PORTION] for first in range(0, len(items), PORTION))
