"""The SQL of the activity of installs: a row for each install, with a bit for each week or month."""

from datetime import date, timedelta
from typing import Any

from warehouse.queries import dimensions, month_bits
from warehouse.queries.questions import whole_buckets
from warehouse.queries.questions.question import EVER
from warehouse.queries.questions.reader import Reader

_NEVER = "'2149-06-06'::Date"


class Activity:
    """The activity of installs in the buckets of a question, and in the one before."""

    def __init__(self, reader: Reader, grain: str, count: str = "reported") -> None:
        """`count` says which reports of a bucket may meet the filters: all of them, or the latest one."""
        question = self._question = reader.question
        self._grain = grain
        self.start = whole_buckets.first_day(grain, question.start - timedelta(days=1))
        self._feature = question.options.get("feature")
        first = EVER if self._feature else self.start
        self._values = reader.latest_reports(question.installs(start=first, grain=grain))
        self._of_latest = count == "latest" and bool(question.conditions)

    @property
    def buckets(self) -> list[date]:
        """The first day of each bucket."""
        return list(whole_buckets.between(self._grain, self._question.start, self._question.end))

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the statement."""
        return self._values.parameters

    def position(self, bucket: date) -> int:
        """Return the bit of a bucket."""
        return month_bits.position(self._grain, self.start, bucket)

    def counted(self, bits: str) -> str:
        """Return an array: how many `installs` of all rows have the bit of each bucket."""
        first = self.position(self._question.start)
        return month_bits.counted(bits, range(first, first + len(self.buckets)), "installs")

    def first_position(self) -> str:
        """Return the position of the first bucket of a row of `installs`; 0 if it is before the span."""
        return f"greatest({month_bits.bucket(self._grain, self.start, 'first_day')}, 0)"

    def installs(self) -> str:
        """Return a SELECT of (install, active, matched, first_day, first_bucket).

        `active` are the buckets with a report, or with a use of the feature. `matched` are those of them with a report
        that meets the filters, or whose latest report does. `first_bucket` is the bit of the first day, 0 before the
        span.
        """
        first = f"if(first_day < '{self.start}'::Date, 0, bitShiftLeft(1::UInt64, {self.first_position()}))"
        matched = "bitAnd(active, groupBitOr(fits))" if self._question.conditions else "active"
        return (
            f"SELECT *, {first}::UInt64 AS first_bucket "  # noqa: S608
            f"FROM (SELECT install, groupBitOr(seen) AS active, {matched} AS matched, "
            f"min(first) AS first_day FROM ({' UNION ALL '.join(self._parts())}) GROUP BY install HAVING active != 0)"
        )

    def _parts(self) -> list[str]:
        """Return SELECTs of (install, seen, fits, first). They are added up by install without a join."""
        module = f" AND {self._values.condition('module', 'module')}" if self._question.module else ""
        fits = " AND ".join(
            self._values.condition(name, dimensions.source(dimensions.dimension_of(name)))
            for name in self._question.conditions
        )
        chosen = self._values.chosen() + module
        in_span = f"month BETWEEN '{self.start.replace(day=1)}'::Date AND {{last_month:Date}}{chosen}"
        reported = self._bits("days")
        if not self._feature:
            if self._of_latest:
                reports = self._values.latest_buckets(month_bits.bucket(self._grain, self.start, "bucket"))
            else:
                met = f"if({fits}, {reported}, 0)::UInt64" if fits else "seen"
                reports = f"SELECT install, {reported} AS seen, {met} AS fits FROM installs_by_month WHERE {in_span}"  # noqa: S608
            return [
                f"SELECT *, {_NEVER} AS first FROM ({reports})",  # noqa: S608
                "SELECT install, 0::UInt64 AS seen, 0::UInt64 AS fits, first_day AS first "  # noqa: S608
                f"FROM installs WHERE first_day <= {{end:Date}}{chosen}",
            ]
        used = month_bits.until("used", self._question.end)
        feature = self._values.parameter(self._feature)
        parts = [
            f"SELECT install, {self._bits('used')} AS seen, {'0::UInt64' if fits else 'seen'} AS fits, "  # noqa: S608
            f"{month_bits.first_day(used)} AS first FROM features_by_month "
            f"WHERE feature = {{{feature}:String}} AND {used} != 0 AND month <= {{last_month:Date}}{chosen}"
        ]
        if fits:
            parts.append(
                f"SELECT install, 0::UInt64 AS seen, {reported} AS fits, {_NEVER} AS first "  # noqa: S608
                f"FROM installs_by_month WHERE {in_span} AND {fits}"
            )
        return parts

    def _bits(self, days: str) -> str:
        return month_bits.buckets(self._grain, self.start, month_bits.span(days, self.start, self._question.end))


def known(bucket: date, since: date | None, grain: str) -> bool:
    """Return whether the data say what was before a bucket: it is after the bucket in which they begin."""
    return since is not None and bucket > whole_buckets.first_day(grain, since)
