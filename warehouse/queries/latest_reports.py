"""The SQL of `count=latest`: an install counts once in a bucket, under the value of its latest report."""

from collections.abc import Mapping
from datetime import timedelta

from warehouse.queries import dimensions, month_bits
from warehouse.queries.bucket_select import BucketSelect, key_sql, table


class LatestReports(BucketSelect):
    """Builds SELECTs of the latest reports."""

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
            return f"SELECT bucket, {key_sql(keys)} AS key, install, early, 0::UInt64 AS amount FROM ({rows}){where}"  # noqa: S608
        rows = self._latest_in_days(columns, ranks)
        if query.grain == "day":
            return (
                f"SELECT {self.bucket('found')} AS bucket, {key_sql(keys)} AS key, install, "  # noqa: S608
                f"{self.early('found')} AS early, 0::UInt64 AS amount FROM ({rows}){where}"
            )
        within = ["bucket", "install"] + (["module"] if "module" in query.dimensions else [])
        # The number of a day, higher for all days before `open_from` than for any later one.
        day = "toUInt32(toUInt16(month + position))"
        if self._open_from:
            day += " + if(month + position < {open_from:Date}, 65536, 0)"
        positions = "arrayFilter(position -> toMonday(month + position) = bucket, bitPositionsToArray(found))"
        values = "".join(f", argMax({name}, place) AS {name}" for name in columns.values())
        reports = (
            f"SELECT *, {self.bucket('found')} AS bucket, {positions} AS positions, "  # noqa: S608
            f"arrayMax(position -> {day}, positions) AS place, {self.early('found')} AS early FROM ({rows})"
        )
        latest = (
            f"SELECT {', '.join(within)}, max(early) AS early{values} FROM ({reports}) GROUP BY {', '.join(within)}"  # noqa: S608
        )
        return f"SELECT bucket, {key_sql(keys)} AS key, install, early, 0::UInt64 AS amount FROM ({latest}){where}"  # noqa: S608

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
            f"SELECT {self.bucket('days')} AS bucket, {', '.join(within[1:])}, max({self.early(of_span)}) AS early"  # noqa: S608
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
