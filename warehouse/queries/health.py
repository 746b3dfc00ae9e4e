"""The health of Pharos, read from ClickHouse: loaders, beacons per hour, tables."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from warehouse.engine import Engine
from warehouse.identifiers import quoted
from warehouse.server_users import ServerUser

# Each loader reports its progress every five seconds. A loader that is behind by more than this is late.
LATE = timedelta(minutes=2)
HOURS = 72


@dataclass(frozen=True)
class Loader:
    """The last report of a loader. `trouble` is why it cannot load, "" while it can."""

    id: str
    fresh_to: datetime
    written: datetime
    waiting: int
    oldest: datetime | None
    sealed: int
    quarantined: int
    free_bytes: int
    pharos: str
    trouble: str
    trouble_since: datetime | None

    def silent(self, now: datetime) -> bool:
        """Whether its last report is too old: the loader is stopped, or cannot reach ClickHouse."""
        return now - self.written > LATE

    def late(self, now: datetime) -> bool:
        """Whether the figures lack its recent beacons."""
        return now - self.fresh_to > LATE


@dataclass(frozen=True)
class Table:
    """A table's rows and bytes on disk."""

    name: str
    rows: int
    bytes: int


def loaders(engine: Engine) -> list[Loader]:
    """Return all loaders that reported in the last 7 days, the one furthest behind first."""
    rows = engine.as_user(ServerUser.PRODUCT).query(
        "SELECT toString(loader), fresh_to, written, waiting, oldest, sealed, quarantined, free_bytes, pharos, "
        "trouble, trouble_since FROM freshness_by_loader WHERE written > now() - INTERVAL 7 DAY "
        "ORDER BY written DESC LIMIT 1 BY loader"
    )
    return sorted((Loader(id[:8], *map(_utc, rest)) for id, *rest in rows), key=lambda one: one.fresh_to)


def beacons_per_hour(engine: Engine, now: datetime) -> tuple[datetime | None, dict[datetime, int]]:
    """Return the hour of the first beacon that is kept, and the beacons of each of the last `HOURS` hours with any.

    A beacon counts at its sent time if that is within 7 days, else at its time of receipt. The function counts beacons
    of the license plane, not installs. Only operators, who may see that plane anyway, read the counts, so k does not
    apply.
    """
    reader = engine.as_user(ServerUser.LICENSING)
    ((first, count),) = reader.query("SELECT min(hour), count() FROM license_beacons_per_hour")
    rows = reader.query(
        "SELECT hour, sum(beacons) FROM license_beacons_per_hour "
        "WHERE hour BETWEEN toDateTime({start:UInt32}) AND toDateTime({end:UInt32}) GROUP BY hour",
        {"start": int(hours(now)[0].timestamp()), "end": int(now.timestamp())},
    )
    return _utc(first) if count else None, {_utc(hour): beacons for hour, beacons in rows}


def hours(now: datetime) -> list[datetime]:
    """Return the start times of the last `HOURS` hours, oldest first; the last one is the current hour."""
    this = now.replace(minute=0, second=0, microsecond=0)
    return [this - timedelta(hours=back) for back in reversed(range(HOURS))]


def tables(engine: Engine) -> list[Table]:
    """Return the tables of each server, largest first. Requires the administrator."""
    found = [table for server in engine.servers for table in _tables(server)]
    return sorted(found, key=lambda table: (-table.bytes, table.name))


def _tables(engine: Engine) -> list[Table]:
    """Return the tables of one server. On a cluster, sum the shards, one replica each."""
    parts = f"cluster({quoted(engine.cluster)}, system.parts)" if engine.cluster else "system.parts"
    rows = engine.query(
        f"SELECT table, sum(rows), sum(bytes_on_disk) FROM {parts} "  # noqa: S608
        "WHERE active AND database = {database:String} GROUP BY table",
        {"database": engine.database},
    )
    return [Table(name.removesuffix("_local"), count, bytes) for name, count, bytes in rows]


def _utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
