"""Limits what figures of the current day disclose to a role. Pure.

Figures of the current day change with each beacon, so two queries before and after a beacon would disclose its content.
For all roles but admin, counts that include the current day therefore change in steps of k installs. A sum of uses
cannot change in such steps, so it includes only days that are over.
"""

from datetime import date, timedelta

from core.credentials import Role


def open_from(role: Role, k: int, today: date) -> date | None:
    """Return the first day whose figures change in steps for this role, or None if all figures are exact."""
    return None if role is Role.ADMIN or k == 1 else today


def days_that_count(metric: str, end: date, open_from: date | None) -> date:
    """Return the last day, at most `end`, that this metric includes."""
    if metric != "feature_uses" or open_from is None:
        return end
    return min(end, open_from - timedelta(days=1))


def stepped(earlier: int, everybody: int, k: int) -> int:
    """Return a count that grows in steps of k. `earlier` of the installs have a beacon on a day that is over."""
    return earlier + (everybody - earlier) // k * k
