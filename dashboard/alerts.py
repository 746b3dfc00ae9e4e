"""Alerts of saved views: the active installs of yesterday are outside of what is usual for the weekday.

Only complete days count. A gap in the data is no alert, and neither is a figure that is hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from statistics import median

from core.credentials import Role
from core.saved_views import View
from dashboard.data_source import DataSource, asking_as
from dashboard.filters import Filters
from dashboard.formatting import count, day

WEEKS = 8
LEAST_WEEKS = 5
# Of the median absolute deviation, so that one bad week does not widen the band; and of the noise of counting.
WIDTH, MAD_TO_DEVIATION = 4.0, 1.4826


@dataclass(frozen=True)
class Alert:
    """A day whose active installs are outside of the band from `low` to `high`."""

    day: date
    value: int
    low: int
    high: int

    def text(self, name: str) -> str:
        """The alert in words."""
        return (
            f"{name}: {count(self.value)} active installs on {day(self.day)}. Usual for this weekday are "
            f"{count(self.low)} to {count(self.high)}, from the last {WEEKS} weeks."
        )


def band(values: Sequence[int]) -> tuple[int, int] | None:
    """What is usual after these values of the same weekday; None for too few of them."""
    if len(values) < LEAST_WEEKS:
        return None
    middle = median(values)
    deviation = MAD_TO_DEVIATION * median(abs(value - middle) for value in values)
    half = WIDTH * max(deviation, sqrt(middle) / 2, 0.5)
    return max(0, round(middle - half)), round(middle + half)


def alert_of(data: DataSource, view: View, role: Role, today: date) -> Alert | None:
    """The alert of a view for yesterday, as this role sees it. Raises `QueryError` and `EngineError`."""
    yesterday = today - timedelta(days=1)
    fresh = data.fresh_to()
    if fresh is None or datetime.fromisoformat(fresh) < datetime.combine(today, datetime.min.time(), UTC):
        return None  # the day is not complete yet
    with asking_as(role):
        chosen = data.chosen(view.search)
        eight_weeks = Filters(chosen.module, yesterday - timedelta(weeks=WEEKS), yesterday, "day", chosen.conditions)
        rows = data.ask("installs", eight_weeks.args(grain="day"))["rows"]
        with_beacons = data.received(eight_weeks).days
    found = {date.fromisoformat(row["bucket"]): row["value"] for row in rows}
    values = {day: int(value) for day, value in found.items() if value is not None and day in with_beacons}
    earlier = [values[day] for weeks in range(1, WEEKS + 1) if (day := yesterday - timedelta(weeks=weeks)) in values]
    usual = band(earlier)
    if usual is None or yesterday not in values or usual[0] <= values[yesterday] <= usual[1]:
        return None
    return Alert(yesterday, values[yesterday], *usual)
