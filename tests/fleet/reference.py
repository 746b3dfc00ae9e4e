"""The read API's figures, counted the slow and obvious way: sets and dicts, and nothing of the product's code.

Where the product and this file disagree, one of them misreads the contract.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

Beacon = dict[str, Any]
Row = dict[str, Any]
Dated = tuple[date, Beacon]  # a beacon with its effective day
Metric = Literal["installs", "feature_installs", "feature_uses"]
Grain = Literal["day", "week", "month", "period"]

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
) -> list[Row]:
    """The rows that `GET /api/v1/metrics/<metric>` must answer, given every accepted beacon once.

    Each bucket of the span has a row; one without installs looks as one of fewer than k. From `open_from` on counts
    grow in steps of k, and uses are not told.

    A filter tells what a grouping by it tells: in a bucket in which none of the filters is a row of its own, grouped
    under the others, nothing is told.
    """
    filters = filters or {}
    days = [frm + timedelta(days=number) for number in range((to - frm).days + 1)]
    buckets: dict[str, dict[str, Group]] = {_bucket(day, frm, grain): {} for day in days}
    for day, beacon in beacons:
        if not frm <= day <= to or (metric == "feature_uses" and open_from and day >= open_from):
            continue
        if not all(wanted in carried(beacon, dimension, metric) for dimension, wanted in filters.items()):
            continue
        groups = buckets.setdefault(_bucket(day, frm, grain), {})
        for key, uses in _counted(beacon, metric, by, filters.get("feature")):
            group = groups.setdefault(key, Group())
            group.installs.add(beacon["install_id"])
            if open_from and day < open_from:
                group.earlier.add(beacon["install_id"])
            group.uses += uses
    steps = open_from is not None and metric != "feature_uses"
    named = _named(beacons, (metric, frm, to, grain), filters, k, open_from) if filters and k > 1 else set(buckets)
    rows: list[Row] = []
    for bucket, groups in sorted(buckets.items()):
        folded = fold(groups, k, steps=steps)
        if bucket not in named or not groups or any(group.size(k, steps=steps) < k for group in folded.values()):
            rows.append({"bucket": bucket, "key": OTHER if by else None, "value": None})
            continue
        told = {
            key: group.uses if metric == "feature_uses" else group.size(k, steps=steps) for key, group in folded.items()
        }
        for key, value in sorted(told.items(), key=lambda one: (-one[1], one[0])):
            rows.append({"bucket": bucket, "key": key if by else None, "value": value})
    return rows


def _named(
    beacons: Sequence[Dated],
    question: tuple[Metric, date, date, Grain],
    filters: Mapping[str, str],
    k: int,
    open_from: date | None,
) -> set[str]:
    """The buckets in which one of the filters is a row, grouped by it under the others."""
    named: set[str] = set()
    for name, wanted in filters.items():
        others = {other: value for other, value in filters.items() if other != name}
        rows = metric(beacons, *question, name, others, k, open_from)
        named |= {row["bucket"] for row in rows if row["key"] == wanted and row["value"] is not None}
    return named


def fold(groups: Mapping[str, Group], k: int, *, steps: bool = False) -> dict[str, Group]:
    """The groups that may be told apart, and under `(other)` the union of those that may not."""
    sizes = {key: group.size(k, steps=steps) for key, group in groups.items()}
    smallest_first = sorted(groups, key=lambda key: (sizes[key], key))
    folded: list[str] = []
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
    value: Any = beacon
    for name in PATHS[dimension].split("."):
        if name not in value:
            return set()
        value = value[name]
    return {value}


def _counted(beacon: Beacon, metric: Metric, by: str | None, feature: str | None) -> Iterator[tuple[str, int]]:
    """The keys under which a beacon's install counts, each with the uses that the beacon adds to it."""
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
