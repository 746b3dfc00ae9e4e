"""The SQL of `count=latest`: an install counts once in a bucket, under the value of its latest report.

A report has a place: a number of its day, of the rank of the module's version, and of the rank of its value. The
highest place is that of the latest report, and its lowest bits are the rank of the value, so that no texts of installs
are compared.

ClickHouse analyzes each statement anew, and each of its expressions at the cost of all that is below it. So the
innermost SELECT names what the others need, and those are few and short.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta

from warehouse.queries import dimensions, month_bits
from warehouse.queries.bucket_select import BETWEEN, BucketSelect, table
from warehouse.queries.reported_values import RANK_BITS
from warehouse.queries.small_groups import OTHER

# Added to the number of a day before `open_from`: a report of such a day is later than any other.
_BEFORE = 1 << 16
# So many weeks have a column each.
_FEW_WEEKS = 5
_WEEK = timedelta(days=6)
# The first day that ClickHouse numbers.
_EPOCH = date(1970, 1, 1)
# The column of the rank of the module, where each has a latest report of its own.
_MODULE = "module_rank"


class LatestReports(BucketSelect):
    """Builds SELECTs of the latest reports."""

    def latest_numbers(self) -> str:
        """Return a SELECT of (bucket, install, early, number): a row for each install, bucket and key.

        Of the reports of a day the highest value counts. `module` selects the reports, and by module each has its own
        row. The other filters are compared with the latest values. From `open_from` on a report is the latest only if
        there is none before. A number stands for a bucket and a key: `numbers_of` gives it.
        """
        rows, columns = self.latest_of(self._query.dimensions)
        parts = [self.value_number(name, column) for name, column in columns.items()]
        number = " + ".join([_shifted("toUInt16(bucket)"), f"bitShiftLeft({parts[0]}, {RANK_BITS})", *parts[1:]])
        answered = " AND ".join(f"{column} != 0" for column in columns.values())
        return f"SELECT bucket, install, early, {number} AS number FROM ({rows}) WHERE {answered}"  # noqa: S608

    def numbers_of(self, bucket: date, keys: Iterable[str]) -> list[int]:
        """Return the numbers of keys of a bucket, as in `latest_numbers`."""
        known = [self.value_numbers(name) for name in self._query.dimensions]
        found = []
        for key in keys:
            values = [numbers[value] for numbers, value in zip(known, key.split(BETWEEN), strict=True)]
            found.append((bucket - _EPOCH).days << 2 * RANK_BITS | values[0] << RANK_BITS | sum(values[1:]))
        return found

    def latest_counts(self) -> str:
        """Return the groups of `latest_numbers`, which has each install once in a group."""
        rows, keys = self._latest_installs(self._query.dimensions)
        return (
            f"SELECT bucket, {self._key(keys)} AS key, sum(installs) AS everybody, {self._earlier} AS earlier, "  # noqa: S608
            f"0::UInt64 AS amount, 0::Float64 AS squares FROM ({rows}){_answered(keys)} GROUP BY bucket, key"
        )

    def latest_ranks(self, name: str, *, by_module: bool) -> str:
        """Return a SELECT of (bucket, module, rank, everybody, earlier): the groups of a dimension, by its texts.

        `module` is a rank, too: 0 if the groups are not those of modules.
        """
        rows, keys = self._latest_installs(["module", name] if by_module else [name])
        module = keys.get("module", "0")
        return (
            f"SELECT bucket, {module} AS of_module, {keys[name]} AS rank, sum(installs) AS everybody, "  # noqa: S608
            f"{self._earlier} AS earlier FROM ({rows}) GROUP BY bucket, of_module, rank"
        )

    @property
    def _earlier(self) -> str:
        return "sumIf(installs, early)" if self._open_from else "0::UInt64"

    def _latest_installs(self, named: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Return a SELECT of (bucket, early, ranks, installs), and the column of each of these dimensions."""
        rows, spell, keys = self._latest_spells(named)
        # A value may have many ranks, and the installs many spells, but far fewer than there are installs.
        within = ", ".join([*spell, *dict.fromkeys(keys.values())])
        return self._in_buckets(spell, f"SELECT {within}, count() AS installs FROM ({rows}) GROUP BY {within}"), keys  # noqa: S608

    def latest_of(self, named: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Return a SELECT of (bucket, install, early, ranks), and the column of each of these dimensions."""
        rows, spell, keys = self._latest_spells(named)
        return self._in_buckets(spell, rows), keys

    def latest_buckets(self, position: str) -> str:
        """Return a SELECT of (install, seen, fits): weeks or months as bits, and those whose latest report fits.

        `position` is the SQL of the bit of a `bucket`. That of a week is its number in the span.
        """
        rows, spell, _, filters = self._spells([])
        seen = "found" if "found" in spell else f"bitShiftLeft(1::UInt64, {position})"
        fits = f"if({' AND '.join(filters)}, seen, 0)" if filters else "seen"
        return f"SELECT install, {seen}::UInt64 AS seen, {fits} AS fits FROM ({rows})"  # noqa: S608

    def _key(self, columns: Mapping[str, str]) -> str:
        """Return the SQL of a key, given a column for each dimension. It is empty if one of them has no value."""
        keys = [self.ranked(name, column) for name, column in columns.items()]
        if len(keys) < 2:
            return f"{keys[0] if keys else repr('')}::String"
        none, some = (" OR ".join(f"{key} = '{value}'" for key in keys) for value in ("", OTHER))
        return f"multiIf({none}, '', {some}, '{OTHER}', concat({keys[0]}, '{BETWEEN}', {keys[1]}))"

    def _latest_spells(self, named: Sequence[str]) -> tuple[str, list[str], dict[str, str]]:
        """Return a SELECT of (spell, install, ranks), the columns of the spell, and those of the dimensions.

        A spell is the buckets in which the same report is the latest of an install. The reports meet the filters.
        """
        rows, spell, keys, filters = self._spells(named)
        if filters:
            rows = f"SELECT * FROM ({rows}) WHERE {' AND '.join(filters)}"  # noqa: S608
        return rows, spell, keys

    def _spells(self, named: Sequence[str]) -> tuple[str, list[str], dict[str, str], list[str]]:
        """Return the same of all reports, and the conditions of the filters."""
        query = self._query
        columns: dict[str, str] = {}  # of ranks, by reported text
        places: dict[str, str] = {}  # of reports, by column

        def column(name: str) -> str:
            found = columns.setdefault(dimensions.source(name), f"latest_{len(columns)}")
            places.setdefault(found, name)
            return found

        filters = [
            self.rank_condition(name, column(dimensions.dimension_of(name)))
            for name in query.filters
            if name != "module"
        ]
        keys = {name: _MODULE if name == "module" else column(name) for name in named}
        within = ["install", *({_MODULE} & set(keys.values()))]
        if query.grain in ("month", "period"):
            rows, spell = self._latest_in_months(places, within), ["bucket", "early"]
        elif query.grain == "day":
            rows, spell = self._latest_in_days(places, within), ["month", "found"]
        elif self.weeks <= month_bits.MOST_BUCKETS:
            rows, spell = self._latest_in_weeks(places, within), ["found", "found_early"]
        else:
            rows, spell = self._latest_of_days(places, within), ["bucket", "early"]
        return rows, spell, keys, filters

    def _in_buckets(self, spell: Sequence[str], rows: str) -> str:
        """Return a SELECT of (bucket, early, and all columns of `rows`), a row for each bucket of a spell."""
        if "bucket" in spell:
            return rows
        if "month" in spell:
            return f"SELECT *, {self.bucket('found')} AS bucket, {self.early('found')} AS early FROM ({rows})"  # noqa: S608
        return (
            f"SELECT *, arrayJoin(bitPositionsToArray(found)) AS position, bitTest(found_early, position) AS early, "  # noqa: S608
            f"'{self._monday}'::Date + 7 * position AS bucket FROM ({rows})"
        )

    @property
    def weeks(self) -> int:
        """The number of weeks of which the span has days."""
        return month_bits.position("week", self._monday, self._query.end) + 1

    @property
    def _monday(self) -> date:
        """The first day of the first week."""
        return self._query.start - timedelta(days=self._query.start.weekday())

    def _rows(self, places: Mapping[str, str], within: Sequence[str], **columns: str) -> str:
        """Return a SELECT of the rows of the span with the places of their reports on a day, and these columns."""
        conditions = [self.in_span("days")]
        if "module" in self._query.filters:
            conditions.append(self.condition("module", "module"))
        ranks: dict[str, str] = {}

        def rank(name: str) -> str:
            return ranks.setdefault(name, f"rank_{len(ranks)}")

        placed = {found: self.place(name, rank) for found, name in places.items()}
        named = {**{found: self.rank(name) for name, found in ranks.items()}, **columns}
        named |= {f"{found}_place": place for found, place in placed.items()}
        if _MODULE in within:
            # ClickHouse groups rows by numbers twice as fast as by texts.
            named[_MODULE] = f"toUInt32({self.rank('module')})"
        selected = "".join(f", {sql} AS {name}" for name, sql in named.items())
        return f"SELECT install, month{selected} FROM {table(self._query)} WHERE {' AND '.join(conditions)}"  # noqa: S608

    def _latest_in_months(self, places: Mapping[str, str], within: Sequence[str]) -> str:
        """Return a SELECT of (bucket, within, early, ranks), where no bucket splits a month.

        A row's report is its last one: the last before `open_from` if there is one.
        """
        of_span = self.of_span("days")
        day = f"toUInt16(month) + {month_bits.last_position(of_span)}"
        if self._open_from:
            earlier = _before(self._open_from, of_span)
            day = f"if({earlier} != 0, {_BEFORE} + toUInt16(month) + {month_bits.last_position(earlier)}, {day})"
        rows = self._rows(places, within, last=_shifted(day), early_row=self.early(of_span))
        ranks = "".join(f", {_rank(f'max(last + {name}_place)')} AS {name}" for name in places)
        return (
            f"SELECT {self.bucket('')} AS bucket, {', '.join(within)}, max(early_row) AS early{ranks} "  # noqa: S608
            f"FROM ({rows}) GROUP BY bucket, {', '.join(within)}"
        )

    def _latest_in_weeks(self, places: Mapping[str, str], within: Sequence[str]) -> str:
        """Return a SELECT of (within, found, found_early, ranks), with no week of an install twice.

        `found` and `found_early` are weeks; those of the latter have a report before `open_from`.
        """
        if self.weeks <= _FEW_WEEKS:
            return self._latest_in_few_weeks(places, within)
        of_span = self.of_span("days")
        word, first = month_bits.in_weeks(self._monday, of_span)
        columns = {"first": first, "word": word, "bits": month_bits.weeks("word", "first")}
        needed, latest = ["first", "word"], month_bits.last_in_week("word", "first", "position")
        if self._open_from:
            early_word, _ = month_bits.in_weeks(self._monday, _before(self._open_from, of_span))
            columns |= {"early_word": early_word, "early_bits": month_bits.weeks("early_word", "first")}
            early = month_bits.last_in_week("early_word", "first", "position")
            needed, latest = [*needed, "early_word"], f"if({early} != 0, {_BEFORE} + {early}, {latest})"
        gathered = [f"groupArray({name}) AS {name}_all" for name in needed]
        gathered += [f"groupArray({name}_place) AS {name}_all" for name in places]
        arrays = ", ".join(f"{name}_all" for name in needed)
        last = f"arrayMap(({', '.join(needed)}) -> {_shifted(latest)}, {arrays})"
        winners = [f"arrayMax((last, place) -> if(last = 0, 0, last + place), {last}, {name}_all)" for name in places]
        rows = self._rows(places, within, **columns)
        return self._latest_of_bits(rows, places, within, gathered, winners, "early_bits" if self._open_from else "0")

    def _latest_in_few_weeks(self, places: Mapping[str, str], within: Sequence[str]) -> str:
        """Return the same, without arrays: each week has its highest place. Three weeks take half of the CPU."""
        columns, bits, early_bits = {}, [], []
        for week in range(self.weeks):
            monday = self._monday + timedelta(weeks=week)
            days = month_bits.span("days", max(monday, self._query.start), min(monday + _WEEK, self._query.end))
            last = f"toUInt16(month) + {month_bits.last_position(f'days_{week}')}"
            if self._open_from:
                early = f"early_{week}"
                columns[early] = _before(self._open_from, days)
                early_bits.append(f"bitShiftLeft(({early} != 0)::UInt64, {week})")
                earlier = f"{_BEFORE} + toUInt16(month) + {month_bits.last_position(early)}"
                last = f"if({early} != 0, {earlier}, {last})"
            columns |= {f"days_{week}": days, f"last_{week}": f"if(days_{week} = 0, 0, {_shifted(last)})"}
            bits.append(f"bitShiftLeft((days_{week} != 0)::UInt64, {week})")
        columns["bits"] = " + ".join(bits)
        gathered = [
            f"max(if(last_{week} = 0, 0, last_{week} + {name}_place)) AS {name}_{week}"
            for name in places
            for week in range(self.weeks)
        ]
        winners = [f"[{', '.join(f'{name}_{week}' for week in range(self.weeks))}][position + 1]" for name in places]
        rows = self._rows(places, within, **columns)
        return self._latest_of_bits(rows, places, within, gathered, winners, " + ".join(early_bits) or "0")

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
        rows = self._rows(places, within, bits=self.of_span("days"))
        # The place above the days, so that the highest number that has a day has its highest place.
        gathered = [f"groupArray(bitShiftLeft({name}_place, 32) + bits) AS {name}_all" for name in places]
        highest = "bitShiftRight(arrayMax(one -> if(bitTest(one, position), one, 0), {}), 32)"
        winners = [highest.format(f"{name}_all") for name in places]
        return self._latest_of_bits(rows, places, [*within, "month"], gathered, winners)

    def _latest_of_bits(
        self,
        rows: str,
        places: Mapping[str, str],
        within: Sequence[str],
        gathered: Sequence[str],
        winners: Sequence[str],
        early: str = "0",
    ) -> str:
        """Return a SELECT of (within, found, found_early, ranks), with no bit of an install twice.

        `bits` of a row are the days or weeks of its reports. `winners` are the places of the latest of them at
        `position`, which read what is `gathered` of all rows of an install.
        """
        ranks = {name: _low_bits(f"{name}_place") for name in places}
        spread = [f"min({rank}) AS {name}_least, max({rank}) AS {name}_most" for name, rank in ranks.items()]
        by_install = (
            f"SELECT {', '.join(within)}, toUInt64(groupBitOr(bits)) AS all_bits, "  # noqa: S608
            f"toUInt64(groupBitOr({early})) AS found_early, {', '.join([*spread, *gathered])} FROM ({rows}) "
            f"GROUP BY {', '.join(within)}"
        )
        # Most installs report the same values all the time, even if not the same versions. For the others, each bit is
        # looked at by itself.
        differs = " OR ".join(f"{name}_least != {name}_most" for name in places)
        same = f"[({', '.join(f'{name}_most' for name in places)}, all_bits)]"
        each = (
            f"arrayMap(position -> ({', '.join(winners)}, bitShiftLeft(1::UInt64, position)::UInt64), "
            "bitPositionsToArray(all_bits))"
        )
        latest = "".join(f", {_rank(f'report.{number}')} AS {name}" for number, name in enumerate(places, 1))
        return (
            f"SELECT {', '.join(within)}, report.{len(places) + 1} AS found, found_early{latest} FROM ("  # noqa: S608
            f"SELECT {', '.join(within)}, found_early, arrayJoin(if({differs}, {each}, {same})) AS report "
            f"FROM ({by_install}))"
        )


def _answered(keys: Collection[str]) -> str:
    """Return the clause that a row has a value of each dimension."""
    return " WHERE key != ''" if keys else ""


def _before(day: date, days: str) -> str:
    """Return those of a month's days that are before a day."""
    return month_bits.until(days, day - timedelta(days=1))


def _rank(place: str) -> str:
    """Return the rank of the value that has a place."""
    return f"toUInt32({_low_bits(place)})"


def _low_bits(place: str) -> str:
    """Return the same, as wide as the place."""
    return f"bitAnd({place}, {(1 << RANK_BITS) - 1})"


def _shifted(day: str) -> str:
    """Return the place of all reports of a day, which a report's place on that day is added to."""
    return f"bitShiftLeft(({day})::UInt64, {2 * RANK_BITS})"
