"""The SQL of the buckets and the key of a row in the tables by month."""

from collections.abc import Sequence
from datetime import date, timedelta

from warehouse.queries import month_bits
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.reported_values import ReportedValues, Texts

# Between the two values of a key, and between a bucket and a key. No value contains it.
BETWEEN = "\x1f"


def table(query: MetricQuery) -> str:
    """Return the table with the dimensions of the plane that answers."""
    return "license_sources_by_month" if query.of_license_plane else "installs_by_month"


class BucketSelect(ReportedValues):
    """Builds the SELECT of a metric query, with its parameters."""

    def __init__(self, query: MetricQuery, texts: Texts, open_from: date | None = None) -> None:
        super().__init__(query, texts)
        self._open_from = open_from
        if open_from:
            self.parameters["open_from"] = open_from

    def bucket(self, days: str) -> str:
        """Return the first day of each bucket that has some of the days. Weeks are ISO weeks."""
        day = f"arrayMap(position -> month + position, bitPositionsToArray({days}))"
        return {
            "day": f"arrayJoin({day})",
            "week": f"arrayJoin(arrayDistinct(arrayMap(day -> toMonday(day), {day})))",
            "month": "month",
            "period": "{start:Date}",
        }[self._query.grain]

    def early(self, days: str) -> str:
        """Return whether some of the days are in the bucket and before `open_from`."""
        if not self._open_from:
            return "0"
        if self._query.grain == "day":
            return "bucket < {open_from:Date}"
        early = month_bits.until(days, self._open_from - timedelta(days=1))
        if self._query.grain == "week":
            return f"arrayExists(position -> toMonday(month + position) = bucket, bitPositionsToArray({early}))"
        return f"{early} != 0"

    def amount(self) -> str:
        """Return the sum of the uses in the bucket."""
        if self._query.metric != "feature_uses":
            return "0"
        if self._query.grain == "day":
            return "uses[toUInt8(bucket - month + 1)]"
        day_counts = f"bitTest({month_bits.span_bits(self._query.start, self._query.end)}, day - 1)"
        if self._query.grain == "week":
            day_counts += " AND toMonday(month + day - 1) = bucket"
        return f"arraySum((day, count) -> if({day_counts}, count, 0), mapKeys(uses), mapValues(uses))"


def key_sql(keys: Sequence[str]) -> str:
    """Return the SQL of a key of one or two dimensions."""
    if len(keys) > 1:
        return f"concat({keys[0]}, '{BETWEEN}', {keys[1]})"
    return f"{keys[0] if keys else repr('')}::String"
