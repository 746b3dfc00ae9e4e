"""The data of charts over time: a `Line` has one point per bucket, and says why a point has no value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from dashboard.answer_rows import Row
from dashboard.gaps import HOUR, Received, silent_days, silent_hours


@dataclass(frozen=True)
class Line:
    """A line over time, with one point per bucket.

    A bucket is `incomplete` while it is not over, or when the range covers only part of it. A bucket without a value is
    `small` (fewer than k installs, or none), `silent` (no beacon of any module: a gap in the data), or earlier than the
    first beacon.
    """

    buckets: list[date]
    values: list[float | None] = field(default_factory=list)
    incomplete: list[bool] = field(default_factory=list)
    small: list[bool] = field(default_factory=list)
    silent: list[bool] = field(default_factory=list)


def line(rows: Sequence[Row], start: date, end: date, grain: str, today: date, received: Received, *, k: int) -> Line:
    """A line with a point for every bucket from `start` to `end`, from the rows of a metric without grouping.

    A bucket without a row, or with a row without a value, has fewer than k installs or none. With k = 1 that is zero.
    """
    found = {row["bucket"]: row["value"] for row in rows if row["value"] is not None}
    silent = set(silent_days(received, start, end, today))
    filled = Line([])
    bucket = first(start, grain)
    while bucket <= end:
        following = after(bucket, grain)
        inside = [max(bucket, start) + timedelta(days=number) for number in range((following - bucket).days)]
        inside = [day for day in inside if day < following and day <= end]
        value = found.get(bucket.isoformat())
        nothing = value is None and not any(day in received.days for day in inside)
        if value is None and not nothing and k == 1:
            value = 0
        filled.buckets.append(bucket)
        filled.values.append(value)
        filled.incomplete.append(bucket < start or following - timedelta(days=1) > end or following > today)
        filled.small.append(not nothing and value is None)
        filled.silent.append(nothing and any(day in silent for day in inside))
        bucket = following
    return filled


def line_of_hours(first: datetime | None, beacons: Mapping[datetime, int], hours: Sequence[datetime]) -> Line:
    """A line of the beacons of each hour. The last hour is not over; `first` is the time of the first beacon ever."""
    silent = set(silent_hours(first, beacons, hours))
    return Line(
        list(hours),
        [beacons.get(hour) for hour in hours],
        [hour == hours[-1] for hour in hours],
        [False for _ in hours],
        [hour in silent for hour in hours],
    )


def ratio(part: Line, whole: Line) -> Line:
    """`part` as a share of `whole`, at most 1. Both have the same buckets; one in which either has no value has none.

    The part may be above the whole where both are estimates from different samples, or of a day that is not over.
    """
    pairs = list(zip(part.values, whole.values, strict=True))
    values = [None if above is None or not below else min(above / below, 1.0) for above, below in pairs]
    small = [a or b or below == 0 for a, b, (_, below) in zip(part.small, whole.small, pairs, strict=True)]
    return Line(part.buckets, list(values), part.incomplete, small, whole.silent)


def first(moment: date, grain: str) -> date:
    """The first day of the bucket that contains `moment`."""
    if grain == "week":
        return moment - timedelta(days=moment.weekday())
    return moment.replace(day=1) if grain == "month" else moment


def after(bucket: date, grain: str) -> date:
    """The bucket after this one."""
    if grain == "hour":
        return bucket + HOUR
    if grain == "month":
        return (bucket + timedelta(days=31)).replace(day=1)
    return bucket + timedelta(days=7 if grain == "week" else 1)
