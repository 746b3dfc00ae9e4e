"""The SQL of `count=latest`: an install counts once in a bucket, under the value of its latest report.

A report has a place: a number of its day, of the rank of the module's version, and of the rank of its value. The
highest place is that of the latest report, and its lowest bits are the rank of the value, so that no texts of installs
are compared.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from warehouse.queries import dimensions, month_bits
from warehouse.queries.bucket_select import BETWEEN, BucketSelect, table
from warehouse.queries.reported_values import RANK_BITS
from warehouse.queries.small_groups import OTHER

# Added to the number of a day before `open_from`: a report of such a day is later than any other.
_BEFORE = 1 << 16


class LatestReports(BucketSelect):
    """Builds SELECTs of the latest reports."""

    def latest(self) -> str:
        """Return a SELECT of (bucket, key, install, early, amount): a row for each install and bucket.

        Of the reports of a day the highest value counts. `module` selects the reports, and by module each has its own
        row. The other filters are compared with the latest values. From `open_from` on a report is the latest only if
        there is none before.
        """
        rows, keys = self.latest_of(self._query.dimensions)
        return (
            f"SELECT bucket, {self._key(keys)} AS key, install, early, 0::UInt64 AS amount "  # noqa: S608
            f"FROM ({rows}){_answered(keys)}"
        )

    def latest_counts(self) -> str:
        """Return the groups of `latest`, which has each install once in a group."""
        rows, keys = self.latest_of(self._query.dimensions)
        within = ", ".join(["bucket", *dict.fromkeys(keys.values())])
        # A value may have many ranks, but far fewer than there are installs.
        return (
            f"SELECT bucket, {self._key(keys)} AS key, sum(installs) AS everybody, sum(early_installs) AS earlier, "  # noqa: S608
            "0::UInt64 AS amount, 0::Float64 AS squares FROM ("
            f"SELECT {within}, count() AS installs, countIf(early) AS early_installs FROM ({rows}) GROUP BY {within}"
            f"){_answered(keys)} GROUP BY bucket, key"
        )

    def _key(self, columns: Mapping[str, str]) -> str:
        """Return the SQL of a key, given a column for each dimension. It is empty if one of them has no value."""
        keys = [column if column == "module" else self.ranked(name, column) for name, column in columns.items()]
        if len(keys) < 2:
            return f"{keys[0] if keys else repr('')}::String"
        none, some = (" OR ".join(f"{key} = '{value}'" for key in keys) for value in ("", OTHER))
        return f"multiIf({none}, '', {some}, '{OTHER}', concat({keys[0]}, '{BETWEEN}', {keys[1]}))"

    def latest_of(self, named: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Return a SELECT of (bucket, install, early, ranks), and the column of each of these dimensions."""
        query = self._query
        columns: dict[str, str] = {}  # of ranks, by reported text
        places: dict[str, str] = {}  # of reports, by column

        def column(name: str) -> str:
            found = columns.setdefault(dimensions.source(name), f"latest_{len(columns)}")
            places.setdefault(found, self.place(name))
            return found

        filters = [
            self.rank_condition(name, column(dimensions.dimension_of(name)))
            for name in query.filters
            if name != "module"
        ]
        keys = {name: "module" if name == "module" else column(name) for name in named}
        within = ["install", *({"module"} & keys.keys())]
        if query.grain in ("month", "period"):
            rows = self._latest_in_months(places, within)
        elif query.grain == "week" and self.weeks <= month_bits.MOST_BUCKETS:
            rows = self._latest_in_weeks(places, within)
        elif query.grain == "week":
            rows = self._latest_of_days(places, within)
        else:
            rows = (
                f"SELECT *, {self.bucket('found')} AS bucket, {self.early('found')} AS early "  # noqa: S608
                f"FROM ({self._latest_in_days(places, within)})"
            )
        where = f" WHERE {' AND '.join(filters)}" if filters else ""
        return f"SELECT {', '.join(['bucket', *within, 'early', *places])} FROM ({rows}){where}", keys  # noqa: S608

    @property
    def weeks(self) -> int:
        """The number of weeks of which the span has days."""
        monday = self._query.start - timedelta(days=self._query.start.weekday())
        return month_bits.position("week", monday, self._query.end) + 1

    def _from(self) -> str:
        conditions = [self.in_span("days")]
        if "module" in self._query.filters:
            conditions.append(self.condition("module", "module"))
        return f"FROM {table(self._query)} WHERE {' AND '.join(conditions)}"

    def _latest_in_months(self, places: Mapping[str, str], within: Sequence[str]) -> str:
        """Return a SELECT of (bucket, within, early, ranks), where no bucket splits a month.

        A row's report is its last one: the last before `open_from` if there is one.
        """
        of_span = self.of_span("days")
        day = f"toUInt16(month) + {month_bits.last_position(of_span)}"
        if self._open_from:
            earlier = month_bits.until(of_span, self._open_from - timedelta(days=1))
            day = f"if({earlier} != 0, {_BEFORE} + toUInt16(month) + {month_bits.last_position(earlier)}, {day})"
        ranks = "".join(f", {_rank(f'max({_placed(day, place)})')} AS {name}" for name, place in places.items())
        return (
            f"SELECT {self.bucket('days')} AS bucket, {', '.join(within)}, max({self.early(of_span)}) AS early{ranks} "
            f"{self._from()} GROUP BY bucket, {', '.join(within)}"
        )

    def _latest_in_weeks(self, places: Mapping[str, str], within: Sequence[str]) -> str:
        """Return a SELECT of (bucket, within, early, ranks). An install's weeks are found side by side, in one pass."""
        query = self._query
        weeks = month_bits.week_masks(query.start, query.end)
        closed = month_bits.week_masks(query.start, min(query.end, (self._open_from or date.max) - timedelta(days=1)))
        arrays = {
            name: [f"max({_in_week(masks, closed.get(monday, {}), place)})" for monday, masks in weeks.items()]
            for name, place in places.items()
        }
        arrays["early"] = [
            f"max({_with_days(closed.get(monday, {}))})" if self._open_from else "0::UInt8" for monday in weeks
        ]
        names = [*places, "early"]
        by_install = ", ".join(f"[{', '.join(arrays[name])}] AS {name}_by_week" for name in names)
        zipped = ", ".join([f"[{', '.join(map(_date, weeks))}]", *(f"{name}_by_week" for name in names)])
        ranks = "".join(f", {_rank(f'each.{number}')} AS {name}" for number, name in enumerate(places, 2))
        return (
            f"SELECT each.1 AS bucket, {', '.join(within)}, each.{len(names) + 1} AS early{ranks} FROM ("  # noqa: S608
            f"SELECT {', '.join(within)}, arrayJoin(arrayFilter(each -> each.2 != 0, arrayZip({zipped}))) AS each "
            f"FROM (SELECT {', '.join(within)}, {by_install} {self._from()} GROUP BY {', '.join(within)}))"
        )

    def _latest_of_days(self, places: Mapping[str, str], within: Sequence[str]) -> str:
        """Return a SELECT of (bucket, within, early, ranks) by week, for any number of weeks."""
        # The number of a day, higher for all days before `open_from` than for any later one.
        day = "toUInt32(toUInt16(month + position))"
        if self._open_from:
            day += f" + if(month + position < {{open_from:Date}}, {_BEFORE}, 0)"
        positions = "arrayFilter(position -> toMonday(month + position) = bucket, bitPositionsToArray(found))"
        ranks = "".join(f", argMax({name}, place) AS {name}" for name in places)
        reports = (
            f"SELECT *, {self.bucket('found')} AS bucket, {positions} AS positions, "  # noqa: S608
            f"arrayMax(position -> {day}, positions) AS place, {self.early('found')} AS early "
            f"FROM ({self._latest_in_days(places, within)})"
        )
        return (
            f"SELECT bucket, {', '.join(within)}, max(early) AS early{ranks} FROM ({reports}) "  # noqa: S608
            f"GROUP BY bucket, {', '.join(within)}"
        )

    def _latest_in_days(self, places: Mapping[str, str], within: Sequence[str]) -> str:
        """Return a SELECT of (within, month, found, ranks), with no day of an install twice."""
        by_month = ", ".join([*within, "month"])
        names = list(places)
        columns = ", ".join(f"{place} AS {name}" for name, place in places.items())
        reports = (
            f"SELECT {by_month}, {columns}, groupBitOr({self.of_span('days')}) AS days_of_report "
            f"{self._from()} GROUP BY {by_month}, {', '.join(names)}"
        )
        # Most installs report the same values all month. For the others, each day is looked at by itself.
        gathered = ", ".join(f"groupArray({name}) AS {name}_all" for name in names)
        same = f"[({', '.join(f'{name}_all[1]' for name in names)}, every_day)]"
        winners = ", ".join(
            f"arrayMax((days, place) -> if(bitTest(days, position), place, 0), days_all, {name}_all)" for name in names
        )
        by_day = (
            f"arrayMap(position -> ({winners}, bitShiftLeft(1::UInt32, position)::UInt32), "
            "bitPositionsToArray(every_day))"
        )
        differs = " OR ".join(f"length(arrayDistinct({name}_all)) > 1" for name in names)
        taken = ", ".join(f"{_rank(f'report.{number}')} AS {name}" for number, name in enumerate(names, 1))
        return (
            f"SELECT {by_month}, {taken}, report.{len(names) + 1} AS found FROM ("  # noqa: S608
            f"SELECT {by_month}, arrayJoin(if({differs}, {by_day}, {same})) AS report FROM ("
            f"SELECT {by_month}, {gathered}, groupArray(days_of_report) AS days_all, "
            f"groupBitOr(days_of_report) AS every_day FROM ({reports}) GROUP BY {by_month}))"
        )


def _answered(keys: Collection[str]) -> str:
    """Return the clause that a row has a value of each dimension."""
    return " WHERE key != ''" if keys else ""


def _rank(place: str) -> str:
    """Return the rank of the value that has a place."""
    return f"toUInt32(bitAnd({place}, {(1 << RANK_BITS) - 1}))"


def _placed(day: str, place: str) -> str:
    """Return the place of a report among all, given its place among those of its day."""
    return f"bitShiftLeft(({day})::UInt64, {2 * RANK_BITS}) + {place}"


def _in_week(masks: Mapping[date, int], closed: Mapping[date, int], place: str) -> str:
    """Return the place of a row's last report in a week, 0 without one. `closed` are the days before `open_from`."""
    by_month = []
    for month, mask in masks.items():
        days, before = f"bitAnd(days, {mask})", f"bitAnd(days, {closed.get(month, 0)})"
        last = f"toUInt16(month) + {month_bits.last_position(days)}"
        last_before = f"{_BEFORE} + toUInt16(month) + {month_bits.last_position(before)}"
        some = [(before, last_before)] if closed.get(month) else []
        some += [(days, last)] if closed.get(month) != mask else []
        found = ", ".join(f"{each} != 0, {_placed(day, place)}" for each, day in some)
        by_month.append(f"month = {_date(month)}, multiIf({found}, 0::UInt64)")
    return f"multiIf({', '.join(by_month)}, 0::UInt64)"


def _with_days(masks: Mapping[date, int]) -> str:
    """Return whether a row has some of these days of months."""
    tests = [f"(month = {_date(month)} AND bitAnd(days, {mask}) != 0)" for month, mask in masks.items()]
    return " OR ".join(tests) if tests else "0::UInt8"


def _date(day: date) -> str:
    return f"'{day}'::Date"
