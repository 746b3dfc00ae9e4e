"""Gaps in the data: finds days and hours without a beacon of any module, and describes them in words."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

from dashboard.formatting import count, day, days, moment

MOST_NAMED = 3
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Moment = TypeVar("Moment", bound=date)


@dataclass(frozen=True)
class Received:
    """The first day ever with a beacon of any module, and all days of a span that have one."""

    first: date | None
    days: Collection[date]


def silent_days(received: Received, start: date, end: date, today: date) -> list[date]:
    """The days from `start` to `end` without a beacon. Today, and days before the first beacon, are not among them."""
    if received.first is None:
        return []
    start, end = max(start, received.first), min(end, today - DAY)
    every = (start + DAY * number for number in range((end - start).days + 1))
    return [day for day in every if day not in received.days]


def silent_hours(first: datetime | None, received: Collection[datetime], hours: Iterable[datetime]) -> list[datetime]:
    """The same for `hours`. The last hour is not over."""
    *over, _ = hours
    return [hour for hour in over if hour not in received and first is not None and hour > first]


def in_days(silent: Sequence[date]) -> str:
    """A sentence that lists the days, "" for none."""
    return _sentence([f"on {days(start, end)}" for start, end in _runs(silent, DAY)], len(silent), "day")


def in_hours(silent: list[datetime]) -> str:
    """A sentence that lists the hours, "" for none."""
    return _sentence([_span(start, end + HOUR) for start, end in _runs(silent, HOUR)], len(silent), "hour")


def _sentence(spans: list[str], number: int, unit: str) -> str:
    if not spans:
        return ""
    if len(spans) > MOST_NAMED:
        many = f"{'on' if unit == 'day' else 'in'} {count(number)} {unit}s"
        return f"No beacons of any module {many}, most recently {spans[-1]}: gaps in the data, not drops."
    named = " and ".join(filter(None, [", ".join(spans[:-1]), spans[-1]]))
    what = "a gap in the data, not a drop" if len(spans) == 1 else "gaps in the data"
    return f"No beacons of any module {named}: {what}."


def _runs(moments: Sequence[Moment], step: timedelta) -> list[tuple[Moment, Moment]]:
    runs: list[tuple[Moment, Moment]] = []
    for one in moments:
        if runs and runs[-1][1] + step == one:
            runs[-1] = (runs[-1][0], one)
        else:
            runs.append((one, one))
    return runs


def _span(start: datetime, end: datetime) -> str:
    """`from 02:00 to 05:00 UTC on 23 Nov 2026`; `end` is exclusive."""
    if (end - HOUR).date() == start.date():
        return f"from {start:%H:%M} to {end:%H:%M} UTC on {day(start.date())}"
    return f"from {moment(start)} to {moment(end)}"
