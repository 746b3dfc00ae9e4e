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
    """The installs behind one key in one bucket, and how often they used what is counted."""

    installs: set[str] = field(default_factory=set)
    uses: int = 0


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
) -> list[Row]:
    """The rows that `GET /api/v1/metrics/<metric>` must answer, given every accepted beacon once.

    A filter tells what a grouping by it tells: in a bucket in which none of the filters is a row of its own, grouped
    under the others, nothing is told.
    """
    filters = filters or {}
    buckets: dict[str, dict[str, Group]] = {}
    for day, beacon in beacons:
        if not frm <= day <= to:
            continue
        if not all(wanted in carried(beacon, dimension, metric) for dimension, wanted in filters.items()):
            continue
        groups = buckets.setdefault(_bucket(day, frm, grain), {})
        for key, uses in _counted(beacon, metric, by, filters.get("feature")):
            group = groups.setdefault(key, Group())
            group.installs.add(beacon["install_id"])
            group.uses += uses
    named = _named(beacons, (metric, frm, to, grain), filters, k) if filters and k > 1 else set(buckets)
    rows: list[Row] = []
    for bucket, groups in sorted(buckets.items()):
        if bucket not in named:
            rows.append({"bucket": bucket, "key": OTHER if by else None, "value": None})
            continue
        for key, group in sorted(fold(groups, k).items(), key=lambda one: (-_figure(one[1], metric), one[0])):
            # Still under k although all was folded: that there was something is all that may be said.
            value = None if len(group.installs) < k else _figure(group, metric)
            rows.append({"bucket": bucket, "key": key if by else None, "value": value})
    return rows


def _named(
    beacons: Sequence[Dated], question: tuple[Metric, date, date, Grain], filters: Mapping[str, str], k: int
) -> set[str]:
    """The buckets in which one of the filters is a row, grouped by it under the others."""
    named: set[str] = set()
    for name, wanted in filters.items():
        others = {other: value for other, value in filters.items() if other != name}
        rows = metric(beacons, *question, name, others, k)
        named |= {row["bucket"] for row in rows if row["key"] == wanted and row["value"] is not None}
    return named


def fold(groups: Mapping[str, Group], k: int) -> dict[str, Group]:
    """The groups that may be told apart, and under `(other)` the union of those that may not."""
    smallest_first = sorted(groups, key=lambda key: (len(groups[key].installs), key))
    folded: list[str] = []
    other = Group()
    for key in smallest_first:
        if len(groups[key].installs) >= k and (not folded or len(other.installs) >= k):
            break
        folded.append(key)
        other = Group(other.installs | groups[key].installs, other.uses + groups[key].uses)
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


def _figure(group: Group, metric: Metric) -> int:
    return group.uses if metric == "feature_uses" else len(group.installs)


def _bucket(day: date, frm: date, grain: Grain) -> str:
    """The first day of the bucket that holds `day`: it may lie before `frm`."""
    first = {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "period": frm,
    }
    return first[grain].isoformat()
