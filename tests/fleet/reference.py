"""The read API's figures, counted the slow and obvious way: sets and dicts, and nothing of the product's code.

Where the product and this file disagree, one of them misreads the contract.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any, Literal

from tests.fleet import versions

Beacon = dict[str, Any]
Row = dict[str, Any]
Dated = tuple[date, Beacon]  # a beacon with its effective day
Metric = Literal["installs", "feature_installs", "feature_uses"]
Grain = Literal["day", "week", "month", "period"]
Count = Literal["reported", "latest"]
Key = str | tuple[str, str]  # of one dimension, or of two

OTHER = "(other)"
PATHS = {
    "module": "module.name",
    "version": "module.version",
    "os": "server.os.name",
    "os_version": "server.os.version",
    "arch": "server.os.arch",
    "virtualization": "server.virtualization.type",
    "whmcs": "platform.whmcs",
    "php": "platform.php",
    "database": "platform.database",
    "web_server": "platform.web_server",
    "license_status": "license.status",
    "license_source": "license.source",
}


@dataclass
class Group:
    """The installs behind one key in one bucket, those of them seen before today, and the uses of what is counted."""

    installs: set[str] = field(default_factory=set)
    uses: int = 0
    earlier: set[str] = field(default_factory=set)
    least: int = 0

    def size(self, k: int, *, steps: bool) -> int:
        """How many installs are told: of those that came today only every k-th makes a difference, with `steps`."""
        if not steps:
            return len(self.installs)
        return max(self.least, len(self.earlier) + (len(self.installs) - len(self.earlier)) // k * k)


def sent_at(beacon: Beacon) -> datetime:
    """The time that the beacon states, in UTC."""
    return datetime.fromisoformat(beacon["sent_at"]).astimezone(UTC)


def dated(beacons: Iterable[Beacon]) -> list[Dated]:
    """Each beacon with the day it states: its effective day wherever no clock was skewed, and in every import."""
    return [(sent_at(beacon).date(), beacon) for beacon in beacons]


def metric(
    beacons: Sequence[Dated],
    metric: Metric,
    frm: date,
    to: date,
    grain: Grain = "day",
    by: str | None = None,
    filters: Mapping[str, str] | None = None,
    k: int = 5,
    open_from: date | None = None,
    count: Count = "reported",
    *,
    hide_open: bool = False,
) -> list[Row]:
    """The rows that `GET /api/v1/metrics/<metric>` must answer, given every accepted beacon once.

    Each bucket of the span has a row; one without installs looks as one of fewer than k. From `open_from` on counts
    grow in steps of k, and uses are not told. With `hide_open`, nothing of the usage plane is told of those days.

    A filter tells what a grouping by it tells: in a bucket in which none of the filters is a row of its own, grouped
    under the others, nothing is told. A condition is told where it is a union of such rows, `(other)` being one.
    """
    hide_open = hide_open and "license_source" not in (*(by or "").split(","), *(filters or {}))
    question = Question(beacons, metric, frm, to, grain, k, open_from, count, hide_open)
    rows: list[Row] = []
    for bucket, told in question.told(by, filters or {}).items():
        if not told:
            rows.append({"bucket": bucket, **_keyed(by, OTHER), "value": None})
        for key, value in sorted(told.items(), key=lambda one: (-one[1], list(_keyed(by, one[0]).values()))):
            rows.append({"bucket": bucket, **_keyed(by, key), "value": value})
    return rows


@dataclass(frozen=True)
class Question:
    """What all groupings of one answer have in common."""

    beacons: Sequence[Dated]
    metric: Metric
    frm: date
    to: date
    grain: Grain
    k: int
    open_from: date | None
    count: Count
    hide_open: bool

    @property
    def steps(self) -> bool:
        """Whether counts grow in steps."""
        return self.open_from is not None and self.metric != "feature_uses"

    def told(self, by: str | None, filters: Mapping[str, str]) -> dict[str, dict[Key, int]]:
        """The figures by bucket and key; none for a bucket of which nothing is told."""
        named = self._named(filters) if filters and self.k > 1 else None
        told: dict[str, dict[Key, int]] = {}
        for bucket, groups in sorted(self._groups(by, filters).items()):
            folded = fold(groups, self.k, steps=self.steps)
            sizes = {key: group.size(self.k, steps=self.steps) for key, group in folded.items()}
            told[bucket] = {}
            if (named is None or bucket in named) and all(size >= self.k for size in sizes.values()):
                told[bucket] = sizes if self.metric != "feature_uses" else {key: folded[key].uses for key in folded}
        return told

    def _named(self, filters: Mapping[str, str]) -> set[str]:
        """The buckets in which one of the filters is a row, or several, grouped by its dimension under the others."""
        named: set[str] = set()
        for name, wanted in filters.items():
            dimension, _, operation = name.partition(".")
            others = {other: value for other, value in filters.items() if other != name}
            groups = self._groups(dimension, others)
            for bucket, rows in self.told(dimension, others).items():
                folded = [key for key in groups[bucket] if key not in rows]
                if operation:
                    holds = [versions.meets(dimension, operation, str(key), wanted) for key in folded]
                    if rows and (all(holds) or not any(holds)):
                        named.add(bucket)
                elif wanted in rows:
                    named.add(bucket)
        return named

    def _groups(self, by: str | None, filters: Mapping[str, str]) -> dict[str, dict[Key, Group]]:
        """Everything that counts, by bucket and key."""
        days = [self.frm + timedelta(days=number) for number in range((self.to - self.frm).days + 1)]
        buckets: dict[str, dict[Key, Group]] = {_bucket(day, self.frm, self.grain): {} for day in days}
        counted = self._latest(by, filters) if self.count == "latest" else self._reported(by, filters)
        for day, install, key, uses in counted:
            group = buckets[_bucket(day, self.frm, self.grain)].setdefault(key, Group())
            group.installs.add(install)
            if self.open_from and day < self.open_from:
                group.earlier.add(install)
            group.uses += uses
        return buckets

    def _within(self) -> Iterator[Dated]:
        for day, beacon in self.beacons:
            hidden = self.metric == "feature_uses" or self.hide_open
            if self.frm <= day <= self.to and not (hidden and self.open_from and day >= self.open_from):
                yield day, beacon

    def _reported(self, by: str | None, filters: Mapping[str, str]) -> Iterator[tuple[date, str, Key, int]]:
        """Day, install, key and uses of each beacon, once for each value of it."""
        for day, beacon in self._within():
            if all(
                meets(carried(beacon, name.partition(".")[0], self.metric), name, filters[name]) for name in filters
            ):
                for key, uses in _counted(beacon, self.metric, by, filters.get("feature")):
                    yield day, beacon["install_id"], key, uses

    def _latest(self, by: str | None, filters: Mapping[str, str]) -> Iterator[tuple[date, str, Key, int]]:
        """First day, install and key of each install and bucket, and of each module where that is a key."""
        asked = by.split(",") if by else []
        reports: dict[tuple[str, str, str], list[Dated]] = {}
        for day, beacon in self._within():
            module = beacon["module"]["name"]
            if filters.get("module", module) == module:
                bucket, part = _bucket(day, self.frm, self.grain), module if "module" in asked else ""
                reports.setdefault((bucket, beacon["install_id"], part), []).append((day, beacon))
        for (_, install, _), seen in reports.items():
            others = {name: wanted for name, wanted in filters.items() if name != "module"}
            if not all(meets(self.last(seen, name.partition(".")[0]), name, others[name]) for name in others):
                continue
            keys = [self.last(seen, name) for name in asked]
            if all(keys):
                first, *more = (key for (key,) in (keys or [{""}]))
                yield min(day for day, _ in seen), install, (first, more[0]) if more else first, 0

    def last(self, seen: Sequence[Dated], dimension: str) -> set[str]:
        """The value of the latest report of an install, the higher one of a day; a day that is over comes first."""

        def rank(report: Dated) -> tuple[Any, ...]:
            day, beacon = report
            over = self.open_from is None or day < self.open_from
            source = versions.SERIES.get(dimension, dimension)
            (value,) = carried(beacon, source, "installs") or {""}
            if dimension == "os_release":
                value = f"{''.join(carried(beacon, 'os', 'installs'))} {value}"
            version = () if source in versions.COMPARED else versions.order("version", beacon["module"]["version"])
            return over, day, version, versions.order(dimension if dimension == "os_release" else source, value)

        _, beacon = max(seen, key=rank)
        return carried(beacon, dimension, "installs")


def _keyed(by: str | None, key: Key) -> Row:
    """The key of a row as the API writes it."""
    if by and "," in by:
        return {"keys": [OTHER, OTHER] if key == OTHER else list(key)}
    return {"key": key if by else None}


def meets(values: set[str], name: str, wanted: str) -> bool:
    """Whether one of the values meets a filter."""
    dimension, _, operation = name.partition(".")
    if not operation:
        return wanted in values
    return any(versions.meets(dimension, operation, value, wanted) for value in values)


def fold(groups: Mapping[Key, Group], k: int, *, steps: bool = False) -> dict[Key, Group]:
    """The groups that may be told apart, and under `(other)` the union of those that may not."""
    sizes = {key: group.size(k, steps=steps) for key, group in groups.items()}
    smallest_first = sorted(groups, key=lambda key: (sizes[key], key))
    folded: list[Key] = []
    other = Group()
    for key in smallest_first:
        if sizes[key] >= k and (not folded or other.size(k, steps=steps) >= k):
            break
        group = groups[key]
        folded.append(key)
        other = Group(
            other.installs | group.installs, other.uses + group.uses, other.earlier | group.earlier, sizes[key]
        )
    told = {key: group for key, group in groups.items() if key not in folded}
    return told | {OTHER: other} if folded else told


def licensing(beacons: Sequence[Beacon], times: Sequence[datetime] | None = None) -> list[Row]:
    """What the latest beacon of each (install, module) says of its license, and when it was first and last seen.

    `times` holds the effective time of each beacon (default: the time it states). Rows are ordered by install, module.
    """
    sightings: dict[tuple[str, str], list[tuple[datetime, Beacon]]] = {}
    times = [sent_at(beacon) for beacon in beacons] if times is None else times
    for time, beacon in zip(times, beacons, strict=True):
        sightings.setdefault((beacon["install_id"], beacon["module"]["name"]), []).append((time, beacon))
    rows: list[Row] = []
    for (install_id, module), seen in sorted(sightings.items(), key=lambda one: one[0]):
        first, _ = min(seen, key=lambda one: one[0])
        last, latest = max(seen, key=lambda one: one[0])
        rows.append(
            {
                "install_id": install_id,
                "module": module,
                "version": latest["module"]["version"],
                "status": latest["license"]["status"],
                "source": latest["license"]["source"],
                "first_seen": first,
                "last_seen": last,
            }
        )
    return rows


def carried(beacon: Beacon, dimension: str, metric: Metric) -> set[str]:
    """The values that one beacon carries of a dimension: none where the field is missing."""
    if dimension == "feature":
        # To have reported a feature is enough for an install to run it; to use it takes a count above 0.
        return {name for name, count in beacon.get("features", {}).items() if count > 0 or metric == "installs"}
    if dimension in versions.SERIES:
        os = "".join(carried(beacon, "os", metric)) if dimension == "os_release" else ""
        reported = carried(beacon, versions.SERIES[dimension], metric)
        if dimension == "os_release":
            reported = (reported or {""}) if os else set()
        return {versions.series(dimension, text, os) for text in reported}
    value: Any = beacon
    for name in PATHS[dimension].split("."):
        if name not in value:
            return set()
        value = value[name]
    return {value}


def _counted(beacon: Beacon, metric: Metric, by: str | None, feature: str | None) -> Iterator[tuple[Key, int]]:
    """The keys under which a beacon's install counts, each with the uses that the beacon adds to it."""
    if by and "," in by:
        one, other = by.split(",")
        for (key, uses), (second, more) in product(
            _counted(beacon, metric, one, feature), _counted(beacon, metric, other, feature)
        ):
            yield (str(key), str(second)), min(uses, more) if "feature" in (one, other) else uses
        return
    keys = carried(beacon, by, metric) if by else {""}
    if by == "feature" and feature is not None:
        keys &= {feature}  # asked for one feature, nobody wants the others that were reported beside it
    if metric == "installs":
        yield from ((key, 0) for key in keys)
        return
    used = {name: n for name, n in beacon.get("features", {}).items() if n > 0 and feature in (None, name)}
    if by == "feature":
        yield from used.items()
    elif used:
        yield from ((key, sum(used.values())) for key in keys)


def _bucket(day: date, frm: date, grain: Grain) -> str:
    """The first day of the bucket that holds `day`: it may lie before `frm`."""
    first = {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "period": frm,
    }
    return first[grain].isoformat()
