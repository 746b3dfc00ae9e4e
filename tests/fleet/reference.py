"""The read API's figures, counted the slow and obvious way: sets and dicts, and nothing of the product's code.

Where the product and this file disagree, one of them misreads the contract.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any, Literal, TypeVar

from tests.fleet import groups, versions
from tests.fleet.groups import Group, Key, fold

Beacon = dict[str, Any]
Row = dict[str, Any]
Dated = tuple[date, Beacon]  # a beacon with its effective day
Metric = Literal["installs", "feature_installs", "feature_uses"]
Grain = Literal["day", "week", "month", "period"]
Count = Literal["reported", "latest"]
Found = TypeVar("Found")

OTHER = groups.OTHER
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
# No beacon has it: a test adds the country of the address.
COUNTRY = {"country": "server.country"}


def sent_at(beacon: Beacon) -> datetime:
    """The time that the beacon states, in UTC."""
    return datetime.fromisoformat(beacon["sent_at"]).astimezone(UTC)


def dated(beacons: Iterable[Beacon]) -> "Sent":
    """Each beacon with the day it states: its effective day wherever no clock was skewed, and in every import."""
    return Sent((sent_at(beacon).date(), beacon) for beacon in beacons)


class Sent(tuple[Dated, ...]):
    """Beacons with their days. What is the same in every question is found once."""

    def __init__(self, _: Iterable[Dated]) -> None:
        self._found: dict[Any, Any] = {}

    def once(self, key: Any, find: Callable[[], Found]) -> Found:
        """What `find` returns, which is called for the first question with this key."""
        if key not in self._found:
            self._found[key] = find()
        found: Found = self._found[key]
        return found

    def meeting(self, name: str, wanted: str, metric: Metric) -> list[bool]:
        """For each beacon, whether it meets a filter."""
        dimension = name.partition(".")[0]
        return self.once(
            ("meeting", name, wanted, metric),
            lambda: [meets(carried(beacon, dimension, metric), name, wanted) for _, beacon in self],
        )

    def counted(self, metric: Metric, by: str | None, feature: str | None) -> list[tuple[tuple[Key, int], ...]]:
        """For each beacon, the keys under which it counts, with the uses."""
        return self.once(
            ("counted", metric, by, feature),
            lambda: [tuple(_counted(beacon, metric, by, feature)) for _, beacon in self],
        )

    def ranks(self, dimension: str, open_from: date | None) -> list[tuple[Any, ...]]:
        """For each beacon, what says which one is an install's latest."""
        return self.once(("ranks", dimension, open_from), lambda: [_rank(one, dimension, open_from) for one in self])


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

    A filter tells what a grouping by it tells: in a bucket in which one of the filters is no row of its own, grouped
    under the others, nothing is told. The module is such a filter only where it is the only one. A condition is told
    where it is a union of such rows, `(other)` being one, of all installs of the module.
    """
    hide_open = hide_open and "license_source" not in (*(by or "").split(","), *(filters or {}))
    sent = beacons if isinstance(beacons, Sent) else Sent(beacons)
    question = Question(sent, metric, frm, to, grain, k, open_from, count, hide_open)
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

    beacons: Sent
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

    @property
    def _asked(self) -> tuple[Any, ...]:
        return self.metric, self.frm, self.to, self.grain, self.k, self.open_from, self.count, self.hide_open

    def told(self, by: str | None, filters: Mapping[str, str]) -> dict[str, dict[Key, int]]:
        """The figures by bucket and key; none for a bucket of which nothing is told."""
        return self._told(self._groups(by, filters), filters)

    def _told(self, buckets: Mapping[str, dict[Key, Group]], filters: Mapping[str, str]) -> dict[str, dict[Key, int]]:
        named = self._named(filters) if filters and self.k > 1 else None
        told: dict[str, dict[Key, int]] = {}
        for bucket, found in sorted(buckets.items()):
            folded = fold(found, self.k, steps=self.steps)
            sizes = {key: group.size(self.k, steps=self.steps) for key, group in folded.items()}
            told[bucket] = {}
            if (named is None or bucket in named) and all(size >= self.k for size in sizes.values()):
                told[bucket] = sizes if self.metric != "feature_uses" else {key: folded[key].uses for key in folded}
        return told

    def _named(self, filters: Mapping[str, str]) -> set[str]:
        """The buckets in which each filter is a row, or several, grouped by its dimension under the others."""
        return self.beacons.once(("named", self._asked, *filters.items()), lambda: self._find_named(filters))

    def _find_named(self, filters: Mapping[str, str]) -> set[str]:
        def folded(dimension: str) -> dict[str, list[str]]:
            of_module = {name: wanted for name, wanted in filters.items() if name == "module"}
            groups, told = self._groups(dimension, of_module), self.told(dimension, of_module)
            return {bucket: [str(key) for key in groups[bucket] if key not in rows] for bucket, rows in told.items()}

        def is_named(name: str, wanted: str, bucket: str, rows: Mapping[Key, int]) -> bool:
            dimension, _, operation = name.partition(".")
            if not operation or not rows:
                return wanted in rows
            holds = [versions.meets(dimension, operation, key, wanted) for key in folded(dimension)[bucket]]
            return all(holds) or not any(holds)

        found = []
        for name, wanted in filters.items():
            if name != "module" or len(filters) == 1:
                others = {other: value for other, value in filters.items() if other != name}
                told = self.told(name.partition(".")[0], others)
                found.append({bucket for bucket, rows in told.items() if is_named(name, wanted, bucket, rows)})
        return set.intersection(*found)

    def _groups(self, by: str | None, filters: Mapping[str, str]) -> dict[str, dict[Key, Group]]:
        """Everything that counts, by bucket and key."""
        days = [self.frm + timedelta(days=number) for number in range((self.to - self.frm).days + 1)]
        bucket_of = {day: _bucket(day, self.frm, self.grain) for day in days}
        buckets: dict[str, dict[Key, Group]] = {bucket: {} for bucket in bucket_of.values()}
        counted = self._latest(by, filters) if self.count == "latest" else self._reported(by, filters)
        for day, install, key, uses in counted:
            found = buckets[bucket_of[day]]
            group = found.get(key)
            if group is None:
                group = found[key] = Group()
            group.installs.add(install)
            if self.open_from and day < self.open_from:
                group.earlier.add(install)
            group.uses += uses
        return buckets

    def _within(self) -> list[int]:
        """The places of the beacons that count among those that were sent."""
        hidden = self.open_from if self.metric == "feature_uses" or self.hide_open else None
        frm, to = self.frm, self.to
        return self.beacons.once(
            ("within", frm, to, hidden),
            lambda: [
                place
                for place, (day, _) in enumerate(self.beacons)
                if frm <= day <= to and not (hidden and day >= hidden)
            ],
        )

    def _reported(self, by: str | None, filters: Mapping[str, str]) -> Iterator[tuple[date, str, Key, int]]:
        """Day, install, key and uses of each beacon, once for each value of it."""
        places = self._within()
        for name, wanted in filters.items():
            met = self.beacons.meeting(name, wanted, self.metric)
            places = [place for place in places if met[place]]
        counted = self.beacons.counted(self.metric, by, filters.get("feature"))
        for place in places:
            day, beacon = self.beacons[place]
            for key, uses in counted[place]:
                yield day, beacon["install_id"], key, uses

    def _latest(self, by: str | None, filters: Mapping[str, str]) -> Iterator[tuple[date, str, Key, int]]:
        """First day, install and key of each install and bucket, and of each module where that is a key."""
        asked = by.split(",") if by else []
        others = {name: wanted for name, wanted in filters.items() if name != "module"}
        for install, places in self._reports(filters.get("module"), by_module="module" in asked):
            if not all(meets(self._last(places, name.partition(".")[0]), name, others[name]) for name in others):
                continue
            keys = [self._last(places, name) for name in asked]
            if all(keys):
                first, *more = (key for (key,) in (keys or [{""}]))
                yield min(self.beacons[place][0] for place in places), install, (first, more[0]) if more else first, 0

    def _reports(self, module: str | None, *, by_module: bool) -> list[tuple[str, list[int]]]:
        """The places of each install's beacons, by bucket, and by module where that is a key."""

        def find() -> list[tuple[str, list[int]]]:
            reports: dict[tuple[str, str, str], list[int]] = {}
            for place in self._within():
                day, beacon = self.beacons[place]
                of = beacon["module"]["name"]
                if module in (None, of):
                    bucket = _bucket(day, self.frm, self.grain)
                    reports.setdefault((bucket, beacon["install_id"], of if by_module else ""), []).append(place)
            return [(install, places) for (_, install, _), places in reports.items()]

        return self.beacons.once(("reports", self._asked, module, by_module), find)

    def _last(self, places: Sequence[int], dimension: str) -> set[str]:
        """The value of the latest of these beacons."""
        ranks = self.beacons.ranks(dimension, self.open_from)
        _, beacon = self.beacons[max(places, key=ranks.__getitem__)]
        return carried(beacon, dimension, "installs")


def last(seen: Sequence[Dated], dimension: str) -> set[str]:
    """The value of the latest report of an install, the higher one of a day."""
    _, beacon = max(seen, key=lambda report: _rank(report, dimension, None))
    return carried(beacon, dimension, "installs")


def _rank(report: Dated, dimension: str, open_from: date | None) -> tuple[Any, ...]:
    """What the latest report has most of: it came on a day that is over, on a later day, of a higher version."""
    day, beacon = report
    over = open_from is None or day < open_from
    source = versions.SERIES.get(dimension, dimension)
    (value,) = carried(beacon, source, "installs") or {""}
    if dimension == "os_release":
        value = f"{''.join(carried(beacon, 'os', 'installs'))} {value}"
    version = () if source in versions.COMPARED else versions.order("version", beacon["module"]["version"])
    return over, day, version, versions.order(dimension if dimension == "os_release" else source, value)


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
    for name in (PATHS | COUNTRY)[dimension].split("."):
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
