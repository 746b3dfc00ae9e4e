"""How long what is kept: one table of it, what lies there longer than that, and getting rid of it.

ClickHouse drops what is too old by itself: each table has its TTL from the numbered SQL files. This table says the same
for people (a test compares the two), and finds what a merge has not come to: a database that was stopped for a while, a
part that nothing was merged with.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from warehouse.engine import Engine

# ClickHouse gets to a part within hours. What is still there after a day is forced out, and after two is an alarm.
FORCED_DAYS = 1
ALARM_DAYS = 2


@dataclass(frozen=True)
class Kept:
    """What is kept for how long. `column` "" is whole rows; `time` is the column of a table that its age is told by."""

    what: str
    where: str
    how_long: str
    column: str = ""
    time: str = ""

    @property
    def name(self) -> str:
        """A table, a table and its column, or a file in the home."""
        return f"{self.where}.{self.column}" if self.column else self.where

    @property
    def interval(self) -> str:
        """`how_long` for ClickHouse, "" where nothing is ever too old."""
        number, _, unit = self.how_long.removesuffix(" after the last").partition(" ")
        return f"{number} {unit.upper().removesuffix('S')}" if self.time else ""

    def set_in(self, found: dict[str, str]) -> bool:
        """Whether a table that says so (`as_set`) keeps it as long as this entry says."""
        return found.get(self.name) == self.how_long.removesuffix(" after the last")


KEPT = (
    Kept("beacons of the usage plane, by day", "usage_beacons", "13 months", time="day"),
    Kept("installs by day and dimension", "installs_per_day_by_dimension", "13 months", time="day"),
    Kept("installs by day and license source", "installs_per_day_by_license_source", "13 months", time="day"),
    Kept("beacons of the license plane", "license_sightings", "13 months", time="time"),
    Kept("addresses of the connection in them", "license_sightings", "30 days", "ip", "time"),
    Kept("addresses that the module named", "license_sightings", "30 days", "ip_claim", "time"),
    Kept("each install's license reports", "sightings_by_install", "13 months after the last", time="last_seen"),
    Kept("beacons of restricted installs, sealed", "sealed_beacons", "13 months", time="day"),
    Kept("addresses in them, sealed", "sealed_beacons", "30 days", "sealed_ip", "day"),
    Kept("what owners state about module and license", "owner_statements", "13 months", time="stated"),
    Kept("what owners decided", "install_states", "always"),
    Kept("pseudonyms of erased installs in the usage plane", "retired_usage_installs", "always"),
    Kept("pseudonyms of erased installs in the license plane", "retired_license_installs", "always"),
    Kept("the state of each request", "rights_requests", "13 months", time="received"),
    Kept("how far each loader is, and how it is doing", "freshness_by_loader", "7 days", time="written"),
    Kept("which migrations were applied", "migrations", "always"),
    Kept("looks at the license plane", "access.sqlite", "13 months"),
    Kept("beacons on their way", "spool.sqlite", "until ClickHouse has them"),
    Kept("keyed ids by which duplicates are known", "spool.sqlite", "30 days"),
    Kept(
        "requests, and what carrying them out takes",
        "spool.sqlite",
        "until they are done; the record 13 months, a result 7 days",
    ),
    Kept("rows that ClickHouse refused for what they hold", "spool.sqlite", "until somebody has looked at them"),
)


def interval(name: str) -> str:
    """How long what is called `name` is kept, for ClickHouse: `13 MONTH`."""
    return next(kept.interval for kept in KEPT if kept.name == name)


def overdue(engine: Engine, days: int) -> Iterator[tuple[Kept, str]]:
    """What has been too old for more than `days` days and is still there: the entry, and the table's partition.

    Raises `EngineError`.
    """
    for kept in KEPT:
        if not kept.interval:
            continue
        still = f"AND notEmpty({kept.column})" if kept.column else ""
        found = engine.query(
            f"SELECT DISTINCT _partition_id FROM {kept.where} "  # noqa: S608 - of the table above
            f"WHERE {kept.time} < now() - INTERVAL {kept.interval} - INTERVAL {days} DAY {still} ORDER BY 1"
        )
        for (partition,) in found:
            yield kept, partition


def apply(engine: Engine) -> list[str]:
    """Force out what ClickHouse has not dropped by itself in time; returns what it was. Raises `EngineError`.

    To be called once a day: each partition that holds something too old is written anew, in the background.
    """
    found = list(overdue(engine, FORCED_DAYS))
    for table, partition in dict.fromkeys((kept.where, partition) for kept, partition in found):
        statement = f"ALTER TABLE {engine.altered(table)} MATERIALIZE TTL IN PARTITION ID '{partition}'"
        engine.command(statement, {"mutations_sync": 0})
    return list(dict.fromkeys(kept.name for kept, _ in found))


def as_set(engine: Engine) -> dict[str, str]:
    """How long the tables themselves say that they keep what is theirs, "" for ever; none of it before a migration.

    Raises `EngineError`.
    """
    end = "_local" if engine.cluster else ""
    created = dict(
        engine.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    )
    return {
        kept.name: _ttl(created[kept.where + end], kept.column)
        for kept in KEPT
        if kept.interval and kept.where + end in created
    }


def faults(engine: Engine) -> list[str] | None:
    """What the tables keep for another time than promised, or still hold; None before a migration.

    Raises `EngineError`.
    """
    found = as_set(engine)
    if not found:
        return None
    kept = [kept for kept in KEPT if kept.interval]
    wrong = [f"{each.name} is set to {found.get(each.name) or 'for ever'}" for each in kept if not each.set_in(found)]
    late = dict.fromkeys(each.name for each, _ in overdue(engine, ALARM_DAYS))
    return wrong + [f"{name} holds older ones" for name in late]


def _ttl(create: str, column: str) -> str:
    """How long, by the statement that ClickHouse shows for a table: its rows, or the values of a column."""
    columns, _, rows = create.partition(") ENGINE = ")
    if column:
        rows = (re.findall(rf"`{column}` ([^`]*)", columns) or [""])[0]
    found = re.search(r" TTL .*toInterval(\w+)\((\d+)\)", rows)
    return f"{found[2]} {found[1].lower()}s" if found else ""
