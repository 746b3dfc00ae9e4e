"""Makes what the pages show of the state of a module on an install: its reports, and the latest of them. Pure."""

from datetime import UTC, datetime
from typing import NamedTuple

from warehouse.licensing.states import DAY, Days, Report, State, times


class Latest(NamedTuple):
    """The latest report of an install, when the install was seen, and its latest address, "" for none."""

    report: Report
    first_seen: datetime
    last_seen: datetime
    ip: str


class Reported(NamedTuple):
    """A report: when, in seconds, what it says, and the address of its connection, "" for none."""

    time: int
    report: Report
    ip: str


def latest(state: State) -> Latest:
    """Return the latest report. The state has at least one.

    The address is the latest one that is known, which may be that of an earlier report: of a connection, or for imports
    the one that the module reported.
    """
    last, report = max((_last(days), report) for (report, _), days in state.seen.items())
    places = [(_last(days), place) for (_, place), days in state.seen.items() if place.address]
    ip = max(places)[1].address if places else ""
    return Latest(report, _time(min(state.since.values())), _time(last), ip)


def reports(state: State) -> list[Reported]:
    """Return the reports in order: of each day the first and the last one of each kind from each address."""
    found = {
        Reported(time, report, place.ip)
        for (report, place), days in state.seen.items()
        for both in times(days)
        for time in both
    }
    return sorted(found)


def _last(days: Days) -> int:
    """Return the last time of days, in seconds."""
    day = max(days)
    number = days[day]
    return day * DAY + number % DAY + number // DAY


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
