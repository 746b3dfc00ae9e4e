"""The answers to the questions of the read API, counted the slow and obvious way, as in `reference.py`.

Nothing is hidden here: `hides` says whether a figure may be left out of an answer.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal

from tests.fleet import reference, versions
from tests.fleet.reference import Dated, Row

Grain = Literal["week", "month"]
Installs = set[str]


def first_day(grain: Grain, day: date) -> date:
    """The first day of the week or month of a day."""
    return day - timedelta(days=day.weekday()) if grain == "week" else day.replace(day=1)


def following(grain: Grain, bucket: date) -> date:
    """The bucket after a bucket."""
    return first_day(grain, bucket + timedelta(days=7 if grain == "week" else 31))


def preceding(grain: Grain, bucket: date) -> date:
    """The bucket before a bucket."""
    return first_day(grain, bucket - timedelta(days=1))


def meets(beacon: reference.Beacon, filters: Mapping[str, str]) -> bool:
    """Whether one beacon meets all filters."""
    for name, wanted in filters.items():
        dimension, _, operation = name.partition(".")
        values = reference.carried(beacon, dimension, "feature_installs")
        if not any(versions.meets(dimension, operation, v, wanted) if operation else v == wanted for v in values):
            return False
    return True


class History:
    """The beacons of a module, or of all."""

    def __init__(self, beacons: Sequence[Dated], module: str | None = None) -> None:
        self.sent = [
            (day, beacon["install_id"], beacon) for day, beacon in beacons if module in (None, beacon["module"]["name"])
        ]
        self._active: dict[Any, dict[date, Installs]] = {}

    def since(self) -> date:
        """The first day of the data."""
        return min(day for day, _, _ in self.sent)

    def first_days(self, feature: str | None = None) -> dict[str, date]:
        """The first day of each install, or of its use of a feature."""
        found: dict[str, date] = {}
        for day, install, beacon in self.sent:
            if feature is None or meets(beacon, {"feature": feature}):
                found[install] = min(day, found.get(install, day))
        return found

    def active(self, grain: Grain, bucket: date, filters: Mapping[str, str] | None = None) -> Installs:
        """The installs with a beacon in a bucket that meets the filters."""
        key = grain, tuple((filters or {}).items())
        if key not in self._active:
            found = self._active[key] = {}
            for day, install, beacon in self.sent:
                if meets(beacon, filters or {}):
                    found.setdefault(first_day(grain, day), set()).add(install)
        return self._active[key].get(bucket, set())


def lifecycle(history: History, grain: Grain, bucket: date, filters: Mapping[str, str]) -> Row:
    """The row of one bucket; None where the data begin too late to know."""
    before = preceding(grain, bucket)
    now, then, earliest = history.active(grain, bucket), history.active(grain, before), history.first_days()
    met = history.active(grain, bucket, filters)
    row: Row = {"bucket": str(bucket), "active": len(met), "new": None, "returning": None, "resurrected": None}
    row["lost"] = None
    if bucket <= first_day(grain, history.since()):
        return row
    new = {install for install in met if first_day(grain, earliest[install]) == bucket}
    return row | {
        "new": len(new),
        "returning": len(met & then),
        "resurrected": len(met - new - then),
        "lost": len(history.active(grain, before, filters) - now),
    }


def retention(
    history: History, grain: Grain, bucket: date, last: date, filters: Mapping[str, str], feature: str | None
) -> Row | None:
    """The row of the installs that began in a bucket; None where the data begin too late to know."""
    if bucket <= first_day(grain, history.since()):
        return None
    used = {"feature": feature} if feature else {}
    began = {
        install for install, day in history.first_days(feature).items() if first_day(grain, day) == bucket
    } & history.active(grain, bucket, filters)
    active = []
    later = bucket
    while later <= last:
        active.append(len(began & history.active(grain, later, used)))
        later = following(grain, later)
    return {"bucket": str(bucket), "installs": len(began), "active": active}


def answered(history: History, start: date, end: date, filters: Mapping[str, str]) -> tuple[int, int]:
    """The installs that were active in a span, and those of them that reported all dimensions of the filters."""
    within = [(install, beacon) for day, install, beacon in history.sent if start <= day <= end]
    names = [name.partition(".")[0] for name in filters]
    return len({install for install, _ in within}), len(
        {install for install, beacon in within if all(reference.carried(beacon, name, "installs") for name in names)}
    )


def compare(told: Any, counted: Any, k: int) -> int:
    """Check that each figure of an answer is as counted or hidden, and that none is under k; returns how many are."""
    if isinstance(counted, dict):
        assert told.keys() == counted.keys()
        return sum(compare(told[name], counted[name], k) for name in counted)
    if isinstance(counted, list):
        assert len(told) == len(counted), (told, counted)
        return sum(compare(one, other, k) for one, other in zip(told, counted, strict=True))
    if told is None and (counted is None or k > 1):
        return counted is not None
    assert told == counted
    assert not isinstance(told, int) or told >= k or k == 1
    return 0
