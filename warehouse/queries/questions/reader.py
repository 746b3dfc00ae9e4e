"""Reads what the questions need from ClickHouse, and puts their answers together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from core.catalog import Catalog
from warehouse.engine import Engine
from warehouse.queries import dimensions, metrics, sampling, shard_sums
from warehouse.queries.dimensions import dimension_of
from warehouse.queries.group_counts import MOST_TEXTS, texts_sql
from warehouse.queries.latest_reports import LatestReports
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.questions import hiding
from warehouse.queries.questions.question import Question
from warehouse.queries.reported_values import ReportedValues, Texts
from warehouse.server_users import ServerUser


@dataclass(frozen=True)
class Terms:
    """Under which terms somebody asks: the smallest group, whether figures are rounded, and the catalog.

    `established`: only installs count whose beacons were received on at least two days.
    """

    k: int
    rounded: bool = False
    established: bool = False
    catalog: Catalog = field(default_factory=Catalog)


class Reader:
    """Answers one question. Every method that reads raises `EngineError`."""

    def __init__(self, engine: Engine, question: Question, terms: Terms, divisor: int = 0) -> None:
        """`divisor` is known if this is part of another question."""
        self._engine, self.question, self.terms = engine, question, terms
        self._known_divisor = divisor
        self._texts: dict[tuple[date, date, str], Sequence[str]] = {}

    def within(self, start: date, end: date) -> "Reader":
        """Return a reader of the same question about other days."""
        return Reader(self._engine, replace(self.question, start=start, end=end), self.terms, self.divisor)

    def with_filter(self, name: str, value: str) -> "Reader":
        """Return a reader of the same question with one more filter."""
        question = replace(self.question, filters={**self.question.filters, name: value})
        return Reader(self._engine, question, self.terms)

    @cached_property
    def divisor(self) -> int:
        """One install in so many answers the question; all of them up to ten million install-days."""
        question = self.question
        query = question.installs(start=question.reads_from or question.start)
        return self._known_divisor or sampling.divisor(self._engine, query)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT on the usage plane."""
        return self._engine.as_user(ServerUser.PRODUCT).query(sql, parameters)

    def added_up(self, select: str, by: Sequence[str], columns: Sequence[str], add: str = "sum") -> str:
        """Return a SELECT of (by, columns) of the whole fleet, given that of a shard. See `shard_sums.added_up`."""
        return shard_sums.added_up(self._engine, select, by, columns, add)

    def of_each_shard(self, select: str) -> str:
        """Return a SELECT of the rows that a SELECT has on each shard."""
        return shard_sums.of_each_shard(self._engine, select)

    def values(self, query: MetricQuery) -> ReportedValues:
        """Return the expressions on values for a statement about the days and filters of `query`."""
        return ReportedValues(*self._with_texts(query))

    def latest_reports(self, query: MetricQuery) -> LatestReports:
        """Return the same, with the SELECTs of the latest reports."""
        return LatestReports(*self._with_texts(query))

    def _with_texts(self, query: MetricQuery) -> tuple[MetricQuery, Texts]:
        query = replace(query, divisor=self.divisor, established=self.terms.established)

        def texts(source: str) -> Sequence[str]:
            for (start, end, name), known in list(self._texts.items()):
                # Those of more days do as well if they are all.
                if name == source and start <= query.start and end >= query.end and len(known) < MOST_TEXTS:
                    return known
            found = self._texts[query.start, query.end, source] = [
                text for (text,) in self.query(*texts_sql(query, source))
            ]
            return found

        return query, texts

    def told(self, feature: str | None = None, **changes: Any) -> dict[str, int]:
        """Return the buckets in which the metric `installs` may tell the number of installs that meet the filters.

        A question tells nothing of other installs. With a feature, these are its users. `changes` are to the metric:
        its `start`, `grain`, `count` or `filters`. Each bucket has its number, which is that of all installs, whether
        they are `established` or not.
        """
        query = self.question.installs(**changes)
        if feature:
            query = replace(query, metric="feature_installs", filters={**query.filters, "feature": feature})
        rows = metrics.answer(self._engine, query, self.terms.k)["rows"]
        return {row["bucket"]: row["value"] for row in rows if row["value"] is not None}

    def is_told(self, name: str, **changes: Any) -> bool:
        """Return whether `told` names the bucket of the whole span, given the name of a filter beside the module.

        Where questions differ in this filter alone, they have the statement of the grouping by it in common.
        """
        others = {other: value for other, value in self.question.filters.items() if other != name}
        if others.keys() <= {"module"}:
            return self.question.filters[name] in self.keys(name, filters=others, **changes)
        return bool(self.told(**changes))

    def keys(self, name: str, **changes: Any) -> set[str]:
        """Return the values of a dimension with a row of their own in the metric `installs`. Changes as for `told`."""
        query = replace(self.question.installs(**changes), by=name)
        rows = metrics.answer(self._engine, query, self.terms.k)["rows"]
        return {row["key"] for row in rows if row["value"] is not None}

    def since(self) -> date | None:
        """Return the day on which the data of the module, or of all modules, begin: k installs have reported by then.

        It is None if fewer ever did, so a module of few installs looks like one that does not exist.
        """
        k = self.terms.k
        values = self.values(self.question.installs(filters=self.question.module))
        module = values.condition("module", "module") if self.question.module else "1"
        # Of a day with more than k installs, k are enough.
        began = (
            f"SELECT first_day, groupUniqArray({k})(install) AS some FROM installs "  # noqa: S608
            f"WHERE {module}{values.chosen()} GROUP BY first_day"
        )
        found = self.query(
            "SELECT greatest(first_day, (SELECT min(month) FROM installs_by_month))::Date, some "  # noqa: S608
            f"FROM ({self.of_each_shard(began)}) ORDER BY first_day",
            values.parameters,
        )
        reported: set[int] = set()
        since: date
        for since, installs in found:
            reported.update(installs)
            if len(reported) >= k:
                return since
        return None

    def coverage(
        self, numbers: Iterable[int | None], answered: int | None = None, found: tuple[int, int] | None = None
    ) -> dict[str, int | None]:
        """Return how many installs were active in the span, and how many of them answered.

        By default, those answered that reported a value of each dimension that the filters name, and some feature if
        the question is about features. `numbers` are those that the answer shows of installs that answered, also added
        up where no install is in two of them. What would disclose by one of these how few others there are is hidden.
        `found` are the two numbers, where they are known.
        """
        active, complete = found or self.covered()
        answered = min(active, complete if answered is None else answered)
        shown = [number for number in numbers if number is not None]
        tells_active, tells_answered = self._tells(active, shown), self._tells(answered, shown)
        if tells_active and not hiding.part(answered, active, self.terms.k):
            tells_answered = False
        return {
            "active": self.count(active) if tells_active else None,
            "answered": self.count(answered) if tells_answered else None,
        }

    def _tells(self, installs: int, shown: Sequence[int]) -> bool:
        """Return whether the number of installs may be told beside shown numbers of some of them."""
        k, count = self.terms.k, self.count(installs)
        near = any(0 < abs(count - number) < k * self.divisor for number in shown)
        return k == 1 or (installs >= k and not near)

    def covered(self) -> tuple[int, int]:
        """Return how many installs were active in the span, and how many answered; 0 if the former are not told."""
        question = self.question
        features = "feature" in question.options
        exact = self.divisor == 1 and not self.terms.established
        plain = exact and not (question.conditions or features)
        # All installs are told if they are k, which the statement below says. Those of a module may be folded.
        if plain or question.module or not exact:
            told = self.told(filters=question.module)
            if not told:
                return 0, 0
            if plain:
                (installs,) = told.values()
                return installs, installs
        values = self.values(question.installs(filters=question.module))
        module = [values.condition("module", "module")] if question.module else []
        names = sorted(map(dimension_of, question.conditions))
        complete = [f"{values.rolled_up(name, dimensions.source(name))} != ''" for name in names]
        # Most installs that report features use one. The table of features is read for the others.
        uses = f"{values.of_span('used')} != 0"
        parts = [
            f"SELECT install, 1 AS active, {' AND '.join(complete) or 1} AS reports, {uses if features else 1} AS uses "  # noqa: S608
            f"FROM installs_by_month WHERE {' AND '.join([values.in_span('days'), *module])}"
        ]
        if features:
            parts.append(
                "SELECT install, 0 AS active, 0 AS reports, 1 AS uses FROM features_by_month "  # noqa: S608
                f"WHERE {' AND '.join([values.in_span('reported'), f'NOT ({uses})', *module])}"
            )
        sql = (
            "SELECT countIf(active) AS all_active, countIf(active AND reports AND uses) AS answered "  # noqa: S608
            "FROM (SELECT install, "
            "max(parts.active) AS active, max(parts.reports) AS reports, max(parts.uses) AS uses "
            f"FROM ({' UNION ALL '.join(parts)}) AS parts GROUP BY install)"
        )
        ((active, answered),) = self.query(self.added_up(sql, (), ("all_active", "answered")), values.parameters)
        if exact and active < self.terms.k:
            return 0, 0
        return active, answered

    def count(self, installs: int) -> int:
        """Return a number of installs as it is shown: estimated from a sample, and rounded if figures are."""
        estimated = installs * self.divisor
        return estimated // self.terms.k * self.terms.k if self.terms.rounded else estimated

    def share(self, installs: int | None, of: int | None) -> float | None:
        """Return a share of two numbers as they are shown."""
        return None if installs is None or not of else round(installs / of, 4)

    def part(self, installs: int, of: int) -> dict[str, Any]:
        """Return the members of an answer that say how many of a number of installs are some."""
        return self.part_if(installs if hiding.part(installs, of, self.terms.k) else None, of)

    def part_if(self, installs: int | None, of: int) -> dict[str, Any]:
        """Return the same; None is a number that is not shown."""
        shown = None if installs is None else self.count(installs)
        whole = self.count(of) if of >= self.terms.k or self.terms.k == 1 else None
        return {"installs": shown, "of": whole, "share": self.share(shown, whole)}

    def answer(self, rows: list[dict[str, Any]], coverage: Mapping[str, int | None], **more: Any) -> dict[str, Any]:
        """Return the answer, without the time up to which it is complete."""
        question = self.question
        answer = {
            "metric": question.name,
            "from": question.start.isoformat(),
            "to": question.end.isoformat(),
            "filters": question.filters,
            **question.options,
            **more,
            "k": self.terms.k,
            "rows": rows,
            "coverage": dict(coverage),
            "exact": not self.terms.rounded and self.divisor == 1,
        }
        return answer if self.divisor == 1 else {**answer, "sampled": 1 / self.divisor}
