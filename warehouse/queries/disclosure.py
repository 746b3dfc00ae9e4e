"""Limits what figures of the current day disclose to a role. Pure.

Figures of the current day change with each beacon, so two queries before and after a beacon would disclose its content.
For all roles but admin, counts that include the current day therefore change in steps of k installs. A sum of uses
cannot change in such steps, so it includes only days that are over.

The role licensing sees in the rows of the license plane whose beacon arrives. A figure of the usage plane that changes
at the same moment would join the planes, even in steps. For this role such figures include only days that are over.
"""

from datetime import date, timedelta

from core.credentials import Role


def open_from(role: Role, k: int, today: date) -> date | None:
    """Return the first day whose figures change in steps for this role, or None if all figures are exact."""
    return None if role is Role.ADMIN or k == 1 else today


def hides_open_days(role: Role) -> bool:
    """Return whether this role sees no figure of the usage plane for days that are not over."""
    return role is Role.LICENSING


def last_day(end: date, open_from: date | None, *, hidden: bool) -> date:
    """Return the last day, at most `end`, that a figure includes. `hidden`: it includes only days that are over."""
    return min(end, open_from - timedelta(days=1)) if hidden and open_from else end


def stepped(earlier: int, everybody: int, k: int) -> int:
    """Return a count that grows in steps of k. `earlier` of the installs have a beacon on a day that is over."""
    return earlier + (everybody - earlier) // k * k


def stepped_sql(earlier: str, everybody: str) -> str:
    """Return the SQL of `stepped`. `k` is a parameter of the statement."""
    return f"{earlier} + intDiv({everybody} - {earlier}, {{k:UInt64}}) * {{k:UInt64}}"
