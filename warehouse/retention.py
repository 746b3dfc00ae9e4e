"""Lists how long data is kept, and finds and removes expired data.

`KEPT` documents the periods of the TTLs in the numbered SQL files (a test compares the two). A ClickHouse server drops
expired data itself. The embedded engine must not (`warehouse/connections.py`): there `apply` drops all of it. On a
server it finds what no merge has removed: after a stop of the database, or in a part that was not merged.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from warehouse.cases.forgetting import forget
from warehouse.engine import Engine

# The file after which the periods of two settings can be set.
SET_AFTER = "040_raw_days.sql"
# A server usually merges a part within hours. Expired data is removed by force after one day, and an alarm after two.
FORCED_DAYS = 1
ALARM_DAYS = 2
# Clocks of two machines may differ by so much.
CLOCK_SECONDS = 60


class Periods(Protocol):
    """What has the settings of retention: the settings themselves, or an engine."""

    @property
    def raw_days(self) -> int:
        """Days for which beacons of the usage plane are kept one by one."""

    @property
    def aggregate_months(self) -> int:
        """Months for which the figures of the usage plane are kept."""


@dataclass(frozen=True)
class Kept:
    """How long some data is kept: the rows of a table, or the values of `column`. `time` is the column with the age.

    `setting` is the setting that changes the period. `how_long` has its default.
    """

    what: str
    where: str
    how_long: str
    column: str = ""
    time: str = ""
    setting: str = ""

    @property
    def name(self) -> str:
        """The table, `table.column`, or the file in the home."""
        return f"{self.where}.{self.column}" if self.column else self.where

    @property
    def interval(self) -> str:
        """`how_long` as a ClickHouse interval, or "" if the data has no TTL."""
        number, _, unit = self._period.partition(" ")
        return f"{number} {unit.upper().removesuffix('S')}" if self.time else ""

    @property
    def _period(self) -> str:
        return self.how_long.partition(" after ")[0]

    def under(self, periods: Periods) -> "Kept":
        """Return this entry with the period of its setting."""
        if not self.setting:
            return self
        number = periods.raw_days if self.setting == "raw_days" else periods.aggregate_months + (self.time == "month")
        return replace(self, how_long=re.sub(r"^\d+", str(number), self.how_long))

    def set_in(self, found: dict[str, str]) -> bool:
        """Return whether the TTL of the table (see `as_set`) agrees with this entry."""
        return found.get(self.name) == self._period


def _by_month(what: str, table: str) -> Kept:
    return Kept(what, table, "26 months after the first day", "", "month", "aggregate_months")


KEPT = (
    Kept("beacons of the usage plane, by day of receipt", "usage_beacons", "35 days", "", "received", "raw_days"),
    _by_month("installs by month and dimension", "installs_by_month"),
    _by_month("features by month and install", "features_by_month"),
    Kept(
        "first and last day of each module on an install",
        "installs",
        "25 months after the last",
        "",
        "last_day",
        "aggregate_months",
    ),
    Kept(
        "installs by month and license source",
        "license_sources_by_month",
        "14 months after the first day",
        time="month",
    ),
    Kept(
        "license reports of each install, sealed; their addresses, and times of day where nothing changed, 30 days",
        "license_states",
        "13 months",
        time="written",
    ),
    Kept(
        "license reports of a loader of version 1.0, until they are sealed",
        "license_sightings",
        "13 months",
        time="time",
    ),
    Kept("connection addresses of these reports", "license_sightings", "30 days", "ip", "time"),
    Kept("addresses that the module reported", "license_sightings", "30 days", "ip_claim", "time"),
    Kept("these reports by install", "sightings_by_install", "13 months after the last", time="last_seen"),
    Kept("numbers of beacons of the license plane, by hour", "license_beacons_per_hour", "13 months", time="hour"),
    Kept(
        "license keys that each install reported in 13 months, written anew each day",
        "license_keys",
        "30 days",
        time="last_seen",
    ),
    Kept("licensing cases and their notes", "license_cases", "13 months after the last decision"),
    Kept("license registry, with its history", "license_registry", "always"),
    Kept("flags of installs, with their history", "license_flags", "13 months", time="at"),
    Kept("incidents of the vendor", "license_incidents", "13 months", time="since"),
    Kept("beacons of restricted installs, sealed", "sealed_beacons", "13 months", time="day"),
    Kept("addresses of these beacons, sealed", "sealed_beacons", "30 days", "sealed_ip", "day"),
    _by_month("aggregates of restricted installs, sealed", "sealed_months"),
    Kept("owners' statements about module and license", "owner_statements", "13 months", time="stated"),
    Kept("owners' decisions", "install_states", "always"),
    Kept("pseudonyms of erased installs in the usage plane", "retired_usage_installs", "always"),
    Kept("pseudonyms of erased installs in the license plane", "retired_license_installs", "always"),
    Kept("the state of each request", "rights_requests", "13 months", time="received"),
    Kept("progress and health of each loader", "freshness_by_loader", "7 days", time="written"),
    Kept("counts of rejected beacons and requests", "rejections", "13 months", time="day"),
    Kept("beacons of development keys", "development_beacons", "24 hours", time="received"),
    Kept("which key seals the license reports", "license_states_key", "always"),
    Kept("applied migrations", "migrations", "always"),
    Kept("accesses to the license plane", "access.sqlite", "13 months"),
    Kept("events that wait for the webhook", "dashboard.sqlite", "until they are sent, at most a day"),
    Kept("beacons not loaded yet", "spool.sqlite", "until ClickHouse has them"),
    Kept("keyed ids that identify duplicates", "spool.sqlite", "30 days"),
    Kept(
        "requests, and the data to carry them out",
        "spool.sqlite",
        "until they are done; the record 13 months, a result 7 days",
    ),
    Kept("rows that ClickHouse cannot read", "spool.sqlite", "until the operator has handled them"),
)


def kept_under(periods: Periods) -> list[Kept]:
    """Return `KEPT` with the periods of the settings."""
    return [each.under(periods) for each in KEPT]


def interval(engine: Engine, name: str) -> str:
    """Return how long the data called `name` is kept, as a ClickHouse interval: `13 MONTH`."""
    return next(kept.interval for kept in kept_under(engine) if kept.name == name)


def adjust(engine: Engine) -> None:
    """Set the periods of the settings in the tables of this server. ClickHouse rewrites their parts in the background.

    Raises `EngineError`.
    """
    found = _as_set(engine)
    for kept in kept_under(engine):
        if kept.setting and kept.name in found and not kept.set_in(found):
            engine.command(
                f"ALTER TABLE {engine.altered(kept.where)} MODIFY TTL {kept.time} + INTERVAL {kept.interval}",
                {"mutations_sync": 0, "materialize_ttl_after_modify": 1},
            )


def overdue(engine: Engine, days: int) -> Iterator[tuple[Kept, str]]:
    """Yield data that expired more than `days` days ago and still exists: the entry, and the partition.

    Raises `EngineError`.
    """
    for kept in kept_under(engine):
        if not kept.interval:
            continue
        still = f"AND notEmpty({kept.column})" if kept.column else ""
        found = engine.of(kept.where).query(
            f"SELECT DISTINCT _partition_id FROM {kept.where} "  # noqa: S608 - of the table above
            f"WHERE {kept.time} < now() - INTERVAL {kept.interval} - INTERVAL {days} DAY {still} ORDER BY 1"
        )
        for (partition,) in found:
            yield kept, partition


def apply(engine: Engine) -> list[str]:
    """Remove old cases, and expired data that ClickHouse has not dropped in time; returns the names of that data.

    Raises `EngineError`. Call it once a day, under a clock that has settled. ClickHouse rewrites each partition with
    expired data in the background.
    """
    forget(engine)
    found = list(overdue(engine, 0 if engine.embedded else FORCED_DAYS))
    for table, partition in dict.fromkeys((kept.where, partition) for kept, partition in found):
        server = engine.of(table)
        statement = f"ALTER TABLE {server.altered(table)} MATERIALIZE TTL IN PARTITION ID '{partition}'"
        server.command(statement, {"mutations_sync": 0})
    return list(dict.fromkeys(kept.name for kept, _ in found))


def as_set(engine: Engine) -> dict[str, str]:
    """Return the TTLs of the tables, by name. "" means no TTL. The result is empty before a migration.

    Raises `EngineError`.
    """
    return {name: period for server in engine.servers for name, period in _as_set(server).items()}


def _as_set(server: Engine) -> dict[str, str]:
    end = "_local" if server.cluster else ""
    created = dict(
        server.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    )
    return {
        kept.name: _ttl(created[kept.where + end], kept.column)
        for kept in KEPT
        if kept.interval and kept.where + end in created
    }


def faults(engine: Engine) -> list[str] | None:
    """Return the differences from `KEPT`: wrong TTLs, expired data, a wrong clock. None before a migration.

    Raises `EngineError`.
    """
    found = as_set(engine)
    if not found:
        return None
    kept = [kept for kept in kept_under(engine) if kept.interval]
    wrong = [f"{each.name} is set to {found.get(each.name) or 'no TTL'}" for each in kept if not each.set_in(found)]
    late = dict.fromkeys(each.name for each, _ in overdue(engine, ALARM_DAYS))
    clocks = [fault for server in engine.servers if (fault := clock_fault(server, time.time()))]
    return wrong + [f"{name} has expired data" for name in late] + clocks


def clock_fault(server: Engine, now: float) -> str:
    """Return how a server's clock differs from that of this machine (`now`), by which it deletes; "" if they agree.

    Raises `EngineError`.
    """
    ((theirs,),) = server.query("SELECT toUnixTimestamp(now())")
    ahead = round(theirs - now)
    if abs(ahead) <= CLOCK_SECONDS:
        return ""
    return f"the clock of ClickHouse is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} that of this machine"


def _ttl(create: str, column: str) -> str:
    """Return the TTL of a table's rows, or of a column's values, from the CREATE statement."""
    columns, _, rows = create.partition(") ENGINE = ")
    if column:
        rows = (re.findall(rf"`{column}` ([^`]*)", columns) or [""])[0]
    found = re.search(r" TTL .*toInterval(\w+)\((\d+)\)", rows)
    return f"{found[2]} {found[1].lower()}s" if found else ""
