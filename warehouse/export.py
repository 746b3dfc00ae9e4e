"""Exports and imports tables of ClickHouse, in parts that fit into memory. Either side may be embedded or a server.

Exports only data that cannot be derived: the rows of both planes, each install's license reports, which outlive those
rows, and the owners' decisions. Inserting the rows fills the other aggregates again. They count each beacon once,
because the export reads with `FINAL`.
"""

from typing import Protocol

import msgspec

from warehouse.engine import Engine
from warehouse.identifiers import quoted
from warehouse.migrate import migrate

# Each table with the expression for a row's day ("" if it has none) and the column that divides its rows into parts.
TABLES = {
    "usage_beacons": ("day", "install"),
    "license_sightings": ("toDate(time)", "install"),
    "sightings_by_install": ("", "install"),
    "sealed_beacons": ("day", "who"),
    "install_states": ("", "who"),
    "owner_statements": ("toDate(stated)", "install"),
    "license_cases": ("toDate(at)", "install"),
    "license_registry": ("", "key"),
    "license_flags": ("toDate(at)", "install"),
    "license_incidents": ("", "cityHash64(module)"),
    "retired_usage_installs": ("", "install"),
    "retired_license_installs": ("", "install"),
    "rights_requests": ("", "id"),
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
        there = {
            name
            for server in engine.servers
            for (name,) in server.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
        }
        if "migrations" not in there:
            return Contents(engine.version(), {}, [])
        migrations = dict(engine.query("SELECT DISTINCT name, sha256 FROM migrations"))
        parts = [part for table in TABLES if table in there for part in self._parts(table)]
        return Contents(engine.version(), migrations, parts)

    def _parts(self, table: str) -> list[Part]:
        engine = self._engine.of(table)
        if engine.cluster:
            # The queried replica may still lack rows that another replica has received.
            replica = f"{quoted(engine.database)}.{quoted(f'{table}_local')}"
            engine.command(f"SYSTEM SYNC REPLICA{engine.on_cluster} {replica}")
        days = engine.query(
            f"SELECT toString({TABLES[table][0] or repr('')}) AS day_of_row, count() FROM {table} "  # noqa: S608
            "GROUP BY day_of_row ORDER BY day_of_row"
        )
        most = max(PART_ROWS, sum(rows for _, rows in days) // MOST_PARTS)
        parts = []
        for day, rows in days:
            of = -(-rows // most)
            parts += [Part(table, day, number, of, rows // of) for number in range(of)]
        return parts

    def read(self, part: Part) -> bytes:
        """Return the rows of a part, in Native format. Raises `EngineError`."""
        day, key = TABLES[part.table]
        return self._engine.of(part.table).read(
            f"SELECT * FROM {part.table} FINAL WHERE cityHash64({key}) % {{of:UInt32}} = {{number:UInt32}}"  # noqa: S608
            + (f" AND {day} = {{day:Date}}" if day else ""),
            {"of": part.of, "number": part.number} | ({"day": part.day} if day else {}),
        )


def is_empty(engine: Engine) -> bool:
    """Migrate the database of each server, and return whether none has rows yet. Raises `EngineError`."""
    migrate(engine)
    return not any(engine.of(table).query(f"SELECT 1 FROM {table} LIMIT 1") for table in TABLES)  # noqa: S608


def counted(engine: Engine) -> tuple[int, int]:
    """Return how many beacons (one row each) and how many installs the usage plane holds. Raises `EngineError`."""
    ((beacons, installs),) = engine.query("SELECT count(), uniqExact(install) FROM usage_beacons")
    return beacons, installs
