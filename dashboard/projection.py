"""When a share falls under a threshold if it goes on as it did. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import exp, log

LEAST_POINTS = 6
MOST_DAYS = 731  # a forecast of more than two years says nothing


@dataclass(frozen=True)
class Projection:
    """An exponential through past shares: `share` on the day `last`, changing by the factor `per_week` a week."""

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


def project(points: Sequence[tuple[date, float | None]]) -> Projection | None:
    """The projection of shares by week, by least squares of their logarithms. None for fewer than six known shares."""
    known = [(day, value) for day, value in points if value]
    if len(known) < LEAST_POINTS:
        return None
    last = known[-1][0]
    weeks = [(day - last).days / 7 for day, _ in known]
    logs = [log(value) for _, value in known]
    middle, mean = sum(weeks) / len(weeks), sum(logs) / len(logs)
    slope = sum((x - middle) * (y - mean) for x, y in zip(weeks, logs, strict=True)) / sum(
        (x - middle) ** 2 for x in weeks
    )
    return Projection(last, exp(mean - slope * middle), exp(slope))
