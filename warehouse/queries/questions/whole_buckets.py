"""Weeks or months that are over: the buckets of questions about who comes and goes. Pure.

In a bucket that is not over, all who have not reported yet would be lost.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from warehouse.queries.dimensions import QueryError
from warehouse.queries.metric_query import MOST_DAYS, one_of, read_date
from warehouse.queries.month_bits import MOST_BUCKETS
from warehouse.queries.questions.question import Arguments

GRAINS = ("week", "month")
DEFAULT_BUCKETS = 12


def parse(arguments: Arguments, today: date) -> tuple[str, date, date]:
    """Return the grain, and the first and last day of the buckets that are over. Raises `QueryError`.

    `from` goes back to the first day of its bucket, `to` to the last day of the last bucket that is over.
    """
    grain = one_of(arguments.given, "grain", GRAINS, "week")
    end = min(read_date(arguments.given, "to") or today, today - timedelta(days=1))
    start = read_date(arguments.given, "from")
    last = first_day(grain, end + timedelta(days=1))
    if start is None:
        start = last
        for _ in range(DEFAULT_BUCKETS):
            start = first_day(grain, start - timedelta(days=1))
    start = first_day(grain, start)
    if start >= last:
        raise QueryError("out_of_range", "from", f"there must be a whole {grain} that is over from `from` to `to`")
    if (last - start).days >= MOST_DAYS or len(list(between(grain, start, last))) > MOST_BUCKETS:
        raise QueryError("out_of_range", "from", f"must be within {MOST_BUCKETS} {grain}s of to")
    return grain, start, last - timedelta(days=1)


def first_day(grain: str, day: date) -> date:
    """Return the first day of a day's bucket."""
    return day - timedelta(days=day.weekday()) if grain == "week" else day.replace(day=1)


def between(grain: str, start: date, end: date) -> Iterator[date]:
    """Yield the first day of each bucket from `start` up to and without `end`."""
    while start < end:
        yield start
        start = start + timedelta(days=7) if grain == "week" else (start + timedelta(days=31)).replace(day=1)
