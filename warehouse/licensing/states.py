"""What is known of a module on an install: its license reports of 13 months. Pure.

A state is made of reports and merged with other states of its install, in any order and any number of times. It keeps
the first and the last time of each different report on each day (UTC), so that a report that comes late falls into its
place. After 30 days, of a report that only repeats the one before, and is repeated, it keeps the day alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

DAY = 86_400
MONTHS = 13
# Addresses are kept for 30 days, and times as long where they decide nothing.
ADDRESS_DAYS = 30
# Different reports of one day that are kept. Who sends thousands must not make a state grow without bounds.
MOST_A_DAY = 100


class Report(NamedTuple):
    """What a beacon says about the license. `key` is a pseudonym, 0 for none.

    `received` is whether a connection delivered it on the day that it states: otherwise that day is a claim. The order
    of the fields decides which of two reports of one second counts as the later one.
    """

    status: str
    key: int
    source: str
    version: str
    received: bool
    country: str


class Place(NamedTuple):
    """The address of the connection, and the one that the module reported; "" for none."""

    ip: str
    claim: str

    @property
    def address(self) -> str:
        """The address of the connection, or for imports the reported one."""
        return self.ip or self.claim


NOWHERE = Place("", "")
# By day, counted from 1970, the first and the last time in one number (`both`): half the work of reading a pair.
Days = dict[int, int]


@dataclass(frozen=True)
class State:
    """The days of each report from a place, and when each status was first reported, in seconds.

    `since` outlives the days as long as a day of the status is left.
    """

    seen: Mapping[tuple[Report, Place], Days] = field(default_factory=dict)
    since: Mapping[str, int] = field(default_factory=dict)


def of_report(time: int, report: Report, place: Place) -> State:
    """Return the state of an install with one report. `time` is in seconds."""
    return State({(report, place): {time // DAY: time % DAY}}, {report.status: time})


def both(first: int, last: int) -> int:
    """Return the first and the last time of a day, in seconds of the day, as one number."""
    return first + (last - first) * DAY


# At some time of the day: merged with any time of that day, it stays.
SOME_TIME = both(0, DAY - 1)


def times(days: Days) -> Iterator[tuple[int, int]]:
    """Yield the first and the last time of each day, in seconds."""
    for day, number in days.items():
        first = day * DAY + number % DAY
        yield first, first + number // DAY


def moments(days: Days) -> Iterator[int]:
    """Yield the first and the last time of each day, in seconds: once if they are equal or not known."""
    for first, last in times(days):
        yield first
        if first < last < first + DAY - 1:
            yield last


def first_time(days: Days) -> int:
    """Return the time of the first of these reports, in seconds."""
    day = min(days)
    return day * DAY + days[day] % DAY


def last_time(days: Days) -> int:
    """Return the time of the last of these reports, in seconds."""
    day = max(days)
    return day * DAY + days[day] % DAY + days[day] // DAY


def merged(states: Iterable[State]) -> State:
    """Return what all these states of one install say together."""
    seen: dict[tuple[Report, Place], Days] = {}
    since: dict[str, int] = {}
    for state in states:
        for status, time in state.since.items():
            since[status] = min(time, since.get(status, time))
        for said, days in state.seen.items():
            _add(seen, said, days)
    return State(_bounded(seen), since)


def trimmed(state: State, now: datetime) -> State:
    """Return a state without what is too old to be kept."""
    oldest, with_address = oldest_days(now)
    known: dict[tuple[Report, Place], Days] = {}
    for (report, place), days in state.seen.items():
        kept = days
        if place != NOWHERE and (old := {day: number for day, number in days.items() if day < with_address}):
            _add(known, (report, NOWHERE), old)
            kept = {day: number for day, number in days.items() if day >= with_address}
        if kept:
            _add(known, (report, place), kept)
    seen: dict[tuple[Report, Place], Days] = {}
    for said, days in _without_times(known, with_address).items():
        kept = days if min(days) >= oldest else {day: number for day, number in days.items() if day >= oldest}
        if kept:
            seen[said] = kept
    statuses = {report.status for report, _ in seen}
    return State(seen, {status: time for status, time in state.since.items() if status in statuses})


def dated(state: State, now: datetime) -> State:
    """Return a state without the addresses of days that have not come: a clock that was ahead hides their age."""
    tomorrow = _day(now) + 1
    seen: dict[tuple[Report, Place], Days] = {}
    for (report, place), days in state.seen.items():
        if max(days) <= tomorrow:
            _add(seen, (report, place), days)
            continue
        _add(seen, (report, NOWHERE), {day: number for day, number in days.items() if day > tomorrow})
        if kept := {day: number for day, number in days.items() if day <= tomorrow}:
            _add(seen, (report, place), kept)
    return State(seen, state.since)


def _without_times(seen: dict[tuple[Report, Place], Days], before: int) -> dict[tuple[Report, Place], Days]:
    """Return the reports without the times of days before `before` that have the report of the days around them alone.

    So the first and the last time of whatever was reported stay exact.
    """
    told: dict[int, Report | None] = {}
    several: set[int] = set()
    for (report, _), days in seen.items():
        several |= told.keys() & days.keys()
        told |= dict.fromkeys(days, report)
    told |= dict.fromkeys(several)
    every = sorted(told)
    kept = {}
    for said, days in seen.items():
        alike = [
            day
            for day, number in days.items()
            if number != SOME_TIME and day < before and _repeats(told, every, bisect_left(every, day))
        ]
        kept[said] = days | dict.fromkeys(alike, SOME_TIME) if alike else days
    return kept


def _repeats(told: Mapping[int, Report | None], days: Sequence[int], place: int) -> bool:
    """Return whether the day at a place of `days` has one report alone, that of the day before and the day after it."""
    if not 0 < place < len(days) - 1:
        return False
    before, report, after = (told[day] for day in days[place - 1 : place + 2])
    return report is not None and before == report == after


def oldest_days(now: datetime) -> tuple[int, int]:
    """Return the oldest day of reports that are kept, and the oldest with addresses; both counted from 1970."""
    return _day(_months_before(now)), _day(now - timedelta(days=ADDRESS_DAYS))


def _add(seen: dict[tuple[Report, Place], Days], said: tuple[Report, Place], days: Days) -> None:
    """Add days to those of a report from a place. The days stay as they are."""
    known = seen.get(said)
    if known is None:
        seen[said] = days
        return
    seen[said] = together = dict(known)
    for day, number in days.items():
        other = together.setdefault(day, number)
        if other != number:
            first, last = number % DAY, number % DAY + number // DAY
            began, ended = other % DAY, other % DAY + other // DAY
            together[day] = both(min(first, began), max(last, ended))


def _bounded(seen: dict[tuple[Report, Place], Days]) -> dict[tuple[Report, Place], Days]:
    """Drop what a day has beyond `MOST_A_DAY` different reports, by their order: the same whoever merges first."""
    if len(seen) <= MOST_A_DAY:
        return seen
    reports: dict[int, int] = {}
    kept: dict[tuple[Report, Place], Days] = {}
    for said in sorted(seen):
        for day, number in seen[said].items():
            reports[day] = reports.get(day, 0) + 1
            if reports[day] <= MOST_A_DAY:
                kept.setdefault(said, {})[day] = number
    return kept


def _months_before(now: datetime) -> datetime:
    """Return the same day `MONTHS` months ago, or the last day of that month."""
    months = now.year * 12 + now.month - 1 - MONTHS
    year, month = months // 12, months % 12 + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return now.replace(year=year, month=month, day=min(now.day, last))


def _day(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() // DAY)
