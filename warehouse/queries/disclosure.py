"""What is disclosed to whom. Pure.

A day that is not over changes with each beacon, and whoever asks before and after one learns what it says. So figures
that hold such a day change in steps, for all roles but admin: a count moves only when k more installs are there. What a
sum of uses would move by is no count of installs, and no function of the beacons so far moves only with k of them: uses
are told once the day is over.
"""

from datetime import date, timedelta

from core.credentials import Role


def open_from(role: Role, k: int, today: date) -> date | None:
    """The first day whose figures change in steps for this role; None where they are exact at once."""
    return None if role is Role.ADMIN or k == 1 else today


def days_that_count(metric: str, end: date, open_from: date | None) -> date:
    """The last day up to `end` of which this metric is told."""
    if metric != "feature_uses" or open_from is None:
        return end
    return min(end, open_from - timedelta(days=1))


def stepped(earlier: int, everybody: int, k: int) -> int:
    """A count of installs of which `earlier` have a beacon of a day that is over: it grows by k at a time."""
    return earlier + (everybody - earlier) // k * k
