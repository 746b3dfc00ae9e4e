"""The answers to the questions of the read API, counted the slow and obvious way, as in `reference.py`.

Nothing is hidden here: `hides` says whether a figure may be left out of an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations, pairwise
from typing import Any, Literal

from tests.fleet import reference, versions
from tests.fleet.groups import OTHER, Group, Key, fold
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
    """The beacons of a module, or of all. `k` is the smallest group that is told."""

    def __init__(self, beacons: Sequence[Dated], module: str | None = None, k: int = 1) -> None:
        self.k = k
        self.sent = [
            (day, beacon["install_id"], beacon) for day, beacon in beacons if module in (None, beacon["module"]["name"])
        ]
        self._active: dict[Any, dict[date, Installs]] = {}

    def since(self) -> date:
        """The first day of the data: that of the k-th install. It never comes if there are fewer."""
        return sorted([*self.first_days().values(), *[date.max] * self.k])[self.k - 1]

    def first_days(self, feature: str | None = None) -> dict[str, date]:
        """The first day of each install, or of its use of a feature."""
        found: dict[str, date] = {}
        for day, install, beacon in self.sent:
            if feature is None or meets(beacon, {"feature": feature}):
                found[install] = min(day, found.get(install, day))
        return found

    def latest(self, grain: Grain, bucket: date, filters: Mapping[str, str]) -> Installs:
        """The installs with a beacon in a bucket whose latest values in it meet the filters."""
        key = grain, "latest", *filters.items()
        if key not in self._active:
            reports: dict[tuple[date, str], list[Dated]] = {}
            for day, install, beacon in self.sent:
                reports.setdefault((first_day(grain, day), install), []).append((day, beacon))
            found = self._active[key] = {}
            for (begun, install), seen in reports.items():
                values = {name: reference.last(seen, name.partition(".")[0]) for name in filters}
                if all(reference.meets(values[name], name, wanted) for name, wanted in filters.items()):
                    found.setdefault(begun, set()).add(install)
        return self._active[key].get(bucket, set())

    def active(self, grain: Grain, bucket: date, filters: Mapping[str, str] | None = None) -> Installs:
        """The installs with a beacon in a bucket that meets the filters."""
        key = grain, tuple((filters or {}).items())
        if key not in self._active:
            found = self._active[key] = {}
            for day, install, beacon in self.sent:
                if meets(beacon, filters or {}):
                    found.setdefault(first_day(grain, day), set()).add(install)
        return self._active[key].get(bucket, set())


KINDS = ("new", "returning", "resurrected", "lost")


def lifecycle(
    history: History, grain: Grain, bucket: date, filters: Mapping[str, str], count: reference.Count = "reported"
) -> Row:
    """The row of one bucket; None where the data begin too late to know."""
    found = {name: len(installs) for name, installs in in_bucket(history, grain, bucket, filters, count).items()}
    return {"bucket": str(bucket), **dict.fromkeys(KINDS), **found}


def in_bucket(
    history: History, grain: Grain, bucket: date, filters: Mapping[str, str], count: reference.Count = "reported"
) -> dict[str, Installs]:
    """The installs behind the row; only those active where the data begin too late to know."""
    before = preceding(grain, bucket)
    now, then, earliest = history.active(grain, bucket), history.active(grain, before), history.first_days()
    meeting = history.latest if count == "latest" else history.active
    met = meeting(grain, bucket, filters)
    if bucket <= first_day(grain, history.since()):
        return {"active": met}
    new = {install for install in met if first_day(grain, earliest[install]) == bucket}
    return {
        "active": met,
        "new": new,
        "returning": met & then,
        "resurrected": met - new - then,
        "lost": meeting(grain, before, filters) - now,
    }


def retention(
    history: History, grain: Grain, bucket: date, last: date, filters: Mapping[str, str], feature: str | None
) -> Row | None:
    """The row of the installs that began in a bucket; None where the data begin too late to know."""
    if bucket <= first_day(grain, history.since()):
        return None
    used = {"feature": feature} if feature else {}
    began = began_in(history, grain, bucket, filters, feature)
    active = []
    later = bucket
    while later <= last:
        active.append(len(began & history.active(grain, later, used)))
        later = following(grain, later)
    return {"bucket": str(bucket), "installs": len(began), "active": active}


def began_in(history: History, grain: Grain, bucket: date, filters: Mapping[str, str], feature: str | None) -> Installs:
    """The installs that began in a bucket."""
    began = {install for install, day in history.first_days(feature).items() if first_day(grain, day) == bucket}
    return began & history.active(grain, bucket, filters)


Span = tuple[date, date]


def within(history: History, span: Span) -> list[tuple[date, str, reference.Beacon]]:
    """The beacons of some days."""
    return [sent for sent in history.sent if span[0] <= sent[0] <= span[1]]


def first_use(history: History, span: Span, filters: Mapping[str, str], feature: str, days: Sequence[int]) -> list[Row]:
    """The installs first seen in the span that used the feature at most so many days later."""
    began = first_seen(history, span, filters)
    used = history.first_days(feature)
    return [
        {"within": most, **part({one for one, day in began.items() if one in used and (used[one] - day).days <= most},
                                set(began))}
        for most in days
    ]  # fmt: skip


def first_seen(history: History, span: Span, filters: Mapping[str, str]) -> dict[str, date]:
    """The installs first seen in the span that meet the filters in it, with their first days."""
    met = active(history, span, filters)
    return {one: day for one, day in history.first_days().items() if span[0] <= day <= span[1] and one in met}


def covered(history: History, span: Span, filters: Mapping[str, str], *, features: bool = False) -> dict[str, Installs]:
    """The installs that were active, and those of them that reported all dimensions of the filters (and features)."""
    sent = within(history, span)
    names = [name.partition(".")[0] for name in filters]
    active = {install for _, install, _ in sent}
    complete = {i for _, i, beacon in sent if all(reference.carried(beacon, name, "installs") for name in names)}
    reporting = {i for _, i, beacon in sent if beacon.get("features")}
    return {"active": active, "answered": complete & reporting if features else complete}


def check_coverage(history: History, answer: Mapping[str, Any], k: int) -> None:
    """The coverage of an answer is as counted or hidden, and leaves no group under k beside what the answer shows."""
    if answer["from"] is None:
        assert answer["coverage"] == {"active": None, "answered": None}
        return
    span = date.fromisoformat(answer["from"]), date.fromisoformat(answer["to"])
    filters = {name: value for name, value in answer["filters"].items() if name != "module"}
    found = covered(history, span, filters, features="feature" in answer)
    if answer["metric"] == "drop":
        found["answered"] = drop(history, span, filters).answered
    compare(answer["coverage"], {name: len(installs) for name, installs in found.items()}, k)
    told = {name: len(installs) for name, installs in found.items() if answer["coverage"][name] is not None}
    numbers = _shown(history, answer, span, filters)
    if "active" in told:
        numbers.append(told.get("answered", 0))
    for total in told.values():
        assert k == 1 or not [number for number in numbers if 0 < abs(total - number) < k], (answer, numbers)


def _shown(history: History, answer: Mapping[str, Any], span: Span, filters: Mapping[str, str]) -> list[int]:
    """The installs of each group that the answer shows, and of the largest unions of such groups: their numbers."""
    name, rows = answer["metric"], answer["rows"]
    if name == "retention":
        cohorts = [
            began_in(history, answer["grain"], date.fromisoformat(row["bucket"]), filters, answer.get("feature"))
            for row in rows
            if row["installs"] is not None
        ]
        return [len(set().union(*cohorts))]
    if name == "lifecycle":
        buckets = [
            {
                kind: installs
                for kind, installs in in_bucket(
                    history, answer["grain"], date.fromisoformat(row["bucket"]), filters, answer["count"]
                ).items()
                if row[kind] is not None
            }
            for row in rows
        ]
        return [
            len(set().union(one.get("active", set()), more, *(after.get("new", set()) for after in buckets[n + 1 :])))
            for n, one in enumerate(buckets)
            for more in (
                set(),
                one.get("lost", set()) if n else set(),
                buckets[n + 1].get("resurrected", set()) if n + 1 < len(buckets) else set(),
            )
        ]
    if name == "upgrades":
        return [
            sum(row["installs"] for row in rows if row[end] == version)
            for end in ("from", "to")
            for version in {row[end] for row in rows}
        ]
    parts = [*rows, answer] if "of" in answer else rows
    return [part[name] for part in parts for name in ("installs", "of") if part.get(name) is not None]


def part(installs: Installs, of: Installs) -> Row:
    """Some of a number of installs."""
    some, whole = len(installs & of), len(of)
    return {"installs": some, "of": whole, "share": round(some / whole, 4) if whole else None}


def adoption(
    history: History, filters: Mapping[str, str], version: tuple[str, str], end: date, days: int,
    declared: date | None, k: int,
) -> tuple[date | None, list[Row]]:  # fmt: skip
    """The release, and a row for each day from then on; `version` is a dimension and its value."""
    by_day: dict[date, tuple[Installs, Installs, Installs]] = {}
    for day, install, beacon in history.sent:
        active, on, all_on = by_day.setdefault(day, (set(), set(), set()))
        has = meets(beacon, dict([version]))
        if has:
            all_on.add(install)
        if meets(beacon, filters):
            active.add(install)
            if has:
                on.add(install)
    released = declared or min((day for day, (*_, all_on) in by_day.items() if len(all_on) >= k), default=None)
    rows = []
    for number in range(days):
        day = (released or end) + timedelta(days=number)
        if released and day <= end:
            active, on, _ = by_day.get(day, (set(), set(), set()))
            rows.append({"day": number, **part(on, active)})
    return released, rows


def upgrades(history: History, span: Span, filters: Mapping[str, str], by: str) -> dict[tuple[str, str], list[int]]:
    """The days between the first reports of two versions, one after the other, for each install that went up."""
    began: dict[str, dict[str, date]] = {}
    for day, install, beacon in history.sent:
        (version,) = reference.carried(beacon, by, "installs")
        if day <= span[1]:
            seen = began.setdefault(install, {})
            seen[version] = min(day, seen.get(version, day))
    met = active(history, span, filters)
    found: dict[tuple[str, str], list[int]] = {}
    for install in met:
        steps = sorted((day, versions.order(by, version), version) for version, day in began[install].items())
        for (day, place, version), (later, higher, to) in pairwise(steps):
            if span[0] <= later and place < higher:
                found.setdefault((version, to), []).append((later - day).days)
    return found


def median(days: list[int]) -> int:
    """The lower of two in the middle."""
    return sorted(days)[(len(days) - 1) // 2]


def active(history: History, span: Span, filters: Mapping[str, str]) -> Installs:
    """The installs with a report that meets the filters."""
    return {install for _, install, beacon in within(history, span) if meets(beacon, filters)}


def together(history: History, span: Span, filters: Mapping[str, str]) -> tuple[int, list[Row]]:
    """The installs that report features, and a row for each pair of features that some install uses."""
    used: dict[str, set[str]] = {}
    met = active(history, span, filters)
    for _, install, beacon in within(history, span):
        if install in met and beacon.get("features"):
            used.setdefault(install, set()).update(name for name, count in beacon["features"].items() if count)
    users: dict[str, Installs] = {}
    for install, names in used.items():
        for name in names:
            users.setdefault(name, set()).add(install)
    rows = []
    for one, other in combinations(sorted(users), 2):
        if both := len(users[one] & users[other]):
            expected = round(len(users[one]) * len(users[other]) / len(used), 1)
            rows.append({"features": [one, other], "installs": both, "expected": expected})
    return len(used), sorted(rows, key=lambda row: (-row["installs"], row["features"]))


@dataclass
class Drop:
    """Who meets a condition, by the latest values, of those that report what it is about."""

    values: dict[Key, Group] | None
    hit: Installs
    answered: Installs
    upgrading: Installs
    versions: dict[str, Installs]
    users: dict[str, Installs]

    def bounds(self, k: int) -> Row:
        """How many meet it by what values of at least k installs tell. Of three dimensions no values are told."""
        if len(self.answered) < k or self.values is None:
            return {"at_least": None, "at_most": None}
        told = fold(self.values, k)
        folded = len(told.pop(OTHER, Group()).installs)
        met = sum(len(group.installs) for group in told.values() if group.installs <= self.hit)
        return {"at_least": met, "at_most": met + folded}


def drop(history: History, span: Span, filters: Mapping[str, str]) -> Drop:
    """The installs behind the answer."""
    seen: dict[str, list[Dated]] = {}
    names = sorted({name.partition(".")[0] for name in filters})
    found = Drop({} if len(names) < 3 else None, set(), set(), set(), {}, {})
    for day, install, beacon in within(history, span):
        seen.setdefault(install, []).append((day, beacon))
        for name, count in beacon.get("features", {}).items():
            if count:
                found.users.setdefault(name, set()).add(install)
    for install, reports in seen.items():
        values = {name: reference.last(reports, name.partition(".")[0]) for name in filters}
        if not all(values.values()):
            continue
        found.answered.add(install)
        if found.values is not None:
            (first, *more) = (value for name in names for value in reference.last(reports, name))
            found.values.setdefault((first, more[0]) if more else first, Group()).installs.add(install)
        (version,) = reference.last(reports, "version")
        found.versions.setdefault(version, set()).add(install)
        if all(reference.meets(values[name], name, wanted) for name, wanted in filters.items()):
            found.hit.add(install)
    ran: dict[str, set[str]] = {}
    for _, install, beacon in within(history, (span[1] - timedelta(days=182), span[1])):
        ran.setdefault(install, set()).add(beacon["module"]["version"])
    found.upgrading = {install for install, names in ran.items() if len(names) > 1} & found.answered
    return found


def check_bounds(answer: Mapping[str, Any], found: Drop, k: int) -> None:
    """The bounds are the number, or what the values of at least k installs tell of it."""
    bounds = {name: answer[name] for name in ("at_least", "at_most")}
    if answer["installs"] is not None:
        assert bounds == dict.fromkeys(bounds, answer["installs"])
    elif answer["of"] is None:
        assert bounds == {"at_least": None, "at_most": None}
    else:
        assert answer["of"] == len(found.answered)
        assert bounds == found.bounds(k)


def compare(told: Any, counted: Any, k: int) -> int:
    """Check that each figure of an answer is as counted or hidden, and that none is under k; returns how many are."""
    if isinstance(counted, dict):
        assert told.keys() == counted.keys()
        return sum(compare(told[name], counted[name], 1 if name in ("day", "within") else k) for name in counted)
    if isinstance(counted, list):
        assert len(told) == len(counted), (told, counted)
        return sum(compare(one, other, k) for one, other in zip(told, counted, strict=True))
    if told is None and (counted is None or k > 1):
        return counted is not None
    assert told == counted
    assert not isinstance(told, int) or told >= k or k == 1
    return 0


def discloses(shown: Row, counted: Row, total: Sequence[str], k: int) -> bool:
    """Whether somebody who knows the sum of some groups learns of 1 to k - 1 installs from those that are shown."""
    hidden = [counted[name] for name in total if shown[name] is None]
    return len(hidden) < len(total) and (0 < sum(hidden) < k or (len(hidden) == 1 and 0 < hidden[0] < k))
