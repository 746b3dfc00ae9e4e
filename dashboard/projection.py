"""When a share falls under a threshold if it goes on as it did, and how sure that is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import exp, log, sqrt

LEAST_POINTS = 6
MOST_DAYS = 731  # a forecast of more than two years says nothing
# Student's t for 95%, for 6 points (4 degrees of freedom), 7, and so on. Beyond, the last one is cautious.
_T95 = (2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201)


@dataclass(frozen=True)
class Course:
    """An exponential: `share` on the day `last`, changing by the factor `per_week` a week."""

    last: date
    share: float
    per_week: float

    def on(self, day: date) -> float:
        """The share on a day."""
        return float(self.share * self.per_week ** ((day - self.last).days / 7))

    def under(self, threshold: float) -> date | None:
        """The first day with a share under the threshold; None if it does not fall, or not within two years."""
        if self.share < threshold:
            return self.last
        if self.per_week >= 1:
            return None
        days = 7 * log(threshold / self.share) / log(self.per_week)
        return self.last + timedelta(days=int(days) + 1) if days < MOST_DAYS else None


@dataclass(frozen=True)
class Projection:
    """The likeliest course through past shares, and those at both ends of the 95% interval of the slope."""

    likeliest: Course
    lowest: Course
    highest: Course

    @property
    def falls(self) -> bool:
        """Whether the share falls by more than chance explains."""
        return self.highest.per_week < 1

    @property
    def rises(self) -> bool:
        """Whether it rises by more than chance explains."""
        return self.lowest.per_week > 1


def project(points: Sequence[tuple[date, float | None]]) -> Projection | None:
    """The projection of shares by week, by least squares of their logarithms. None for fewer than six known shares."""
    known = [(day, value) for day, value in points if value]
    if len(known) < LEAST_POINTS:
        return None
    last = known[-1][0]
    weeks = [(day - last).days / 7 for day, _ in known]
    logs = [log(value) for _, value in known]
    middle, mean = sum(weeks) / len(weeks), sum(logs) / len(logs)
    spread = sum((x - middle) ** 2 for x in weeks)
    slope = sum((x - middle) * (y - mean) for x, y in zip(weeks, logs, strict=True)) / spread
    left = [y - mean - slope * (x - middle) for x, y in zip(weeks, logs, strict=True)]
    squares = sum(one * one for one in left)
    # A week resembles the one before, because most installs are the same: then so many weeks say less.
    alike = min(max(sum(one * other for one, other in pairwise(left)) / squares, 0), 0.9) if squares else 0.0
    error = sqrt(squares / (len(known) - 2) / spread * (1 + alike) / (1 - alike))
    half = _T95[min(len(known) - LEAST_POINTS, len(_T95) - 1)] * error

    def course(slope: float) -> Course:
        return Course(last, exp(mean - slope * middle), exp(slope))

    return Projection(course(slope), course(slope - half), course(slope + half))
