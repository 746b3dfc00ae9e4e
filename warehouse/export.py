"""Exports and imports tables of ClickHouse, in parts that fit into memory. Either side may be embedded or a server.

Exports only data that cannot be derived: the rows of the usage plane, the license plane and the owners' decisions.
Inserting the rows fills the aggregates again. They count each beacon once, because the export reads with `FINAL`. A
backup of the version before has license reports in clear, which the loader seals.

The aggregates of the usage plane outlive its rows. From the day `rows_from` on, the rows fill the aggregates, because
beacons are loaded during an export. What came before is exported from the aggregates, and its rows are marked as
counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import msgspec

from warehouse.complete_days import complete_from
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.retention import SET_AFTER

# The file from which on the counts by source are exported and not filled by the sightings.
NAMED_AFTER = "052_source_names.sql"


@dataclass(frozen=True)
class Exported:
    """How a table is exported: the expression for a row's day ("" if it has none), and the key that divides its rows.

    An aggregate of the usage plane has a condition for rows with something from before the day `rows_from`, and columns
    that are cut to the days before it. Columns that are there are replaced `since` a migration.
    """

    day: str
    key: str
    before: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)
    since: str = SET_AFTER


# How many days of a row's month come before `rows_from`, at least 0, and the bits of these days.
_DAYS = "greatest(dateDiff('day', month, {from:Date}), 0)"
_BITS = f"if({_DAYS} > 31, 4294967295, bitShiftLeft(1::UInt64, {_DAYS}) - 1)"
TABLES = {
    "usage_beacons": Exported("day", "install", replaced={"counted": "(day < {from:Date})::UInt8"}),
    "installs_by_month": Exported(
        "month",
        "install",
        f"month < {{from:Date}} AND bitAnd(days, {_BITS}) != 0",
        {"days": f"bitAnd(days, {_BITS})::UInt32", "used": f"bitAnd(used, {_BITS})::UInt32"},
    ),
    "features_by_month": Exported(
        "month",
        "install",
        f"month < {{from:Date}} AND bitAnd(reported, {_BITS}) != 0",
        {
            "reported": f"bitAnd(reported, {_BITS})::UInt32",
            "used": f"bitAnd(used, {_BITS})::UInt32",
            "uses": f"mapFilter((day, number) -> day <= {_DAYS}, uses)",
        },
    ),
    "installs": Exported(
        "", "install", "first_day < {from:Date}", {"last_day": "least(last_day, {from:Date} - 1)::Date"}
    ),
    "license_sightings": Exported("toDate(time)", "install", replaced={"counted": "1::UInt8"}, since=NAMED_AFTER),
    "sightings_by_install": Exported("", "install"),
    "license_beacons_per_hour": Exported("", "hour"),
    "license_states": Exported("toDate(written)", "install"),
    "license_keys": Exported("", "install"),
    # After the sightings: what is loaded in between is counted at least.
    "license_sources_by_month": Exported("month", "install"),
    "sealed_beacons": Exported("day", "who"),
    "sealed_months": Exported("month", "who"),
    "install_states": Exported("", "who"),
    "owner_statements": Exported("toDate(stated)", "install"),
    "license_cases": Exported("toDate(at)", "install"),
    "license_registry": Exported("", "key"),
    "license_flags": Exported("toDate(at)", "install"),
    "license_incidents": Exported("", "cityHash64(module)"),
    "retired_usage_installs": Exported("", "install"),
    "retired_license_installs": Exported("", "install"),
    "rights_requests": Exported("", "id"),
}
PART_ROWS = 250_000
# Half the number of insert tokens that a table remembers, so that a restarted restore repeats none of its inserts.
MOST_PARTS = 5000


class Part(msgspec.Struct, frozen=True):
    """A part of a table: the rows of one day, divided by install into `of` parts, and of these part `number`."""

    table: str
    day: str
    number: int
    of: int
    rows: int
    rows_from: str = ""

    @property
    def name(self) -> str:
        """The file name of the part."""
        return ".".join(filter(None, (self.table, self.day, str(self.number))))


class Contents(msgspec.Struct):
    """The contents of a database: the version of ClickHouse, the migrations with their SHA-256, and the parts."""

    clickhouse: str
    migrations: dict[str, str]
    parts: list[Part]


class Source(Protocol):
    """A source of tables to export."""

    def contents(self) -> Contents:
        """Return the contents of the database."""

    def read(self, part: Part) -> bytes:
        """Return the rows of a part, in Native format."""


class EngineTables:
    """The tables of an engine that this process has open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def contents(self) -> Contents:
        """Return the contents of the database, with all rows inserted before the call. Raises `EngineError`."""
        engine = self._engine
        there = _tables(engine.servers)
        if "migrations" not in there:
            return Contents(engine.version(), {}, [])
        migrations = dict(engine.query("SELECT DISTINCT name, sha256 FROM migrations"))
        # Before this migration the aggregates had nothing that the rows had not.
        rows_from = complete_from(engine) if SET_AFTER in migrations else None
        parts = [
            part
            for table, exported in TABLES.items()
            if table in there
            for part in self._parts(table, rows_from if exported.since in migrations else None)
        ]
        return Contents(engine.version(), migrations, parts)

    def _parts(self, table: str, rows_from: date | None) -> list[Part]:
        exported = TABLES[table]
        if exported.before and rows_from is None:
            return []
        engine = self._engine.of(table)
        engine.synchronize(table)
        days = engine.query(
            f"SELECT toString({exported.day or repr('')}) AS day_of_row, count() FROM {table} "  # noqa: S608
            f"WHERE {exported.before or 1} GROUP BY day_of_row ORDER BY day_of_row",
            {"from": rows_from} if exported.before else None,
        )
        most = max(PART_ROWS, sum(rows for _, rows in days) // MOST_PARTS)
        parts = []
        first = str(rows_from) if rows_from and exported.replaced else ""
        for day, rows in days:
            of = -(-rows // most)
            parts += [Part(table, day, number, of, rows // of, first) for number in range(of)]
        return parts

    def read(self, part: Part) -> bytes:
        """Return the rows of a part, in Native format. Raises `EngineError`."""
        exported = TABLES[part.table]
        conditions = [f"cityHash64({exported.key}) % {{of:UInt32}} = {{number:UInt32}}"]
        conditions += [f"{exported.day} = {{day:Date}}"] if exported.day else []
        conditions += [exported.before] if exported.before else []
        columns = "*"
        if part.rows_from:
            # A database of an earlier version lacks some of them.
            there = self._columns(part.table)
            cut = ", ".join(f"{value} AS {name}" for name, value in exported.replaced.items() if name in there)
            columns = f"* REPLACE({cut})"
        return self._engine.of(part.table).read(
            f"SELECT {columns} FROM (SELECT * FROM {part.table} FINAL WHERE {' AND '.join(conditions)})",  # noqa: S608
            {"of": part.of, "number": part.number}
            | ({"day": part.day} if exported.day else {})
            | ({"from": part.rows_from} if part.rows_from else {}),
        )

    def _columns(self, table: str) -> set[str]:
        found = self._engine.of(table).query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": table},
        )
        return {name for (name,) in found}


def is_empty(engine: Engine) -> bool:
    """Migrate the database of each server, and return whether none has rows yet. Raises `EngineError`."""
    migrate(engine)
    return not has_rows(engine)


def has_rows(engine: Engine) -> bool:
    """Return whether the database of a server has rows. Changes nothing. Raises `EngineError`."""
    there = _tables(server for server in engine.servers if server.has_database())
    return any(
        engine.of(table).query(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608
        for table in TABLES
        if table in there
    )


def _tables(servers: Iterable[Engine]) -> set[str]:
    return {
        name
        for server in servers
        for (name,) in server.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    }


def counted(engine: Engine) -> tuple[int, int]:
    """Return how many rows of beacons and how many installs the usage plane holds. Raises `EngineError`."""
    ((beacons,),) = engine.query("SELECT count() FROM usage_beacons")
    ((installs,),) = engine.query("SELECT uniqExact(install) FROM installs")
    return beacons, installs
