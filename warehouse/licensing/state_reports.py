"""Makes what the pages show of the state of a module on an install: its reports, and the latest of them. Pure."""

from datetime import UTC, datetime
from typing import NamedTuple

from warehouse.licensing.states import DAY, Report, State, last_time, moments, oldest_days


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


def latest(state: State, now: datetime) -> Latest | None:
    """Return the latest report of a state, without what is too old to be kept; None if nothing is left.

    The address is the latest one that is known, which may be that of an earlier report: of a connection, or for imports
    the one that the module reported. The state need not be `trimmed`, which takes as long as all of this.
    """
    oldest, with_address = oldest_days(now)
    kept, places = [], []
    for (report, place), days in state.seen.items():
        last = last_time(days)
        if (day := last // DAY) >= oldest:
            kept.append((last, report))
            if day >= with_address and place.address:
                places.append((last, place))
    if not kept:
        return None
    last, report = max(kept)
    statuses = {report.status for _, report in kept}
    first = min(time for status, time in state.since.items() if status in statuses)
    return Latest(report, _time(first), _time(last), max(places)[1].address if places else "")


def reports(state: State) -> list[Reported]:
    """Return the reports in order: of each day the first and the last one of each kind from each address."""
    found = {Reported(time, report, place.ip) for (report, place), days in state.seen.items() for time in moments(days)}
    return sorted(found)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
