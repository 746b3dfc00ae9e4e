"""Tables out of ClickHouse and into it again, in parts that fit into memory, whatever kind of engine either side is.

Only what nothing else can make again: the rows of both planes, each install's license reports, which outlive theirs,
and what owners decided. The other aggregates come back when the rows are inserted, and sum each beacon once: what is
read is `FINAL`.
"""

from typing import Protocol

import msgspec

from warehouse.engine import Engine
from warehouse.identifiers import quoted
from warehouse.migrate import migrate

# By the expression for a row's day, "" where it has none, and what its rows are divided by.
TABLES = {
    "usage_beacons": ("day", "install"),
    "license_sightings": ("toDate(time)", "install"),
    "sightings_by_install": ("", "install"),
    "sealed_beacons": ("day", "who"),
    "install_states": ("", "who"),
    "owner_statements": ("toDate(stated)", "install"),
    "retired_usage_installs": ("", "install"),
    "retired_license_installs": ("", "install"),
    "rights_requests": ("", "id"),
}
PART_ROWS = 250_000
# Half as many as the inserts whose tokens a table remembers: a restore that is begun again knows each of its own.
MOST_PARTS = 5000


class Part(msgspec.Struct, frozen=True):
    """Some rows of a table: those of one day, and of them the `number`th `of` so many parts, divided by install."""

    table: str
    day: str
    number: int
    of: int
    rows: int

    @property
    def name(self) -> str:
        """A file's name for it."""
        return ".".join(filter(None, (self.table, self.day, str(self.number))))


class Contents(msgspec.Struct):
    """What a database holds: its ClickHouse's version, its migrations with their SHA-256, and its parts."""

    clickhouse: str
    migrations: dict[str, str]
    parts: list[Part]


class Source(Protocol):
    """Whoever can be asked for tables."""

    def contents(self) -> Contents:
        """What there is to read."""

    def read(self, part: Part) -> bytes:
        """The rows of a part, in Native format."""


class EngineTables:
    """The tables of an engine that this process has open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def contents(self) -> Contents:
        """What there is to read; all that was inserted before the call is in it. Raises `EngineError`."""
        engine = self._engine
        there = {name for (name,) in engine.query("SELECT name FROM system.tables WHERE database = currentDatabase()")}
        if "migrations" not in there:
            return Contents(engine.version(), {}, [])
        migrations = dict(engine.query("SELECT DISTINCT name, sha256 FROM migrations"))
        parts = [part for table in TABLES if table in there for part in self._parts(table)]
        return Contents(engine.version(), migrations, parts)

    def _parts(self, table: str) -> list[Part]:
        engine = self._engine
        if engine.cluster:
            # The replica that is asked may not have yet what another one was given.
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
        """The rows of a part, in Native format. Raises `EngineError`."""
        day, key = TABLES[part.table]
        return self._engine.read(
            f"SELECT * FROM {part.table} FINAL WHERE cityHash64({key}) % {{of:UInt32}} = {{number:UInt32}}"  # noqa: S608
            + (f" AND {day} = {{day:Date}}" if day else ""),
            {"of": part.of, "number": part.number} | ({"day": part.day} if day else {}),
        )


def is_empty(engine: Engine) -> bool:
    """Whether the database, which is brought up to date by this, holds no row yet. Raises `EngineError`."""
    migrate(engine)
    return not any(engine.query(f"SELECT 1 FROM {table} LIMIT 1") for table in TABLES)  # noqa: S608


def counted(engine: Engine) -> tuple[int, int]:
    """How many rows the usage plane holds, one for each beacon, and of how many installs. Raises `EngineError`."""
    ((beacons, installs),) = engine.query("SELECT count(), uniqExact(install) FROM usage_beacons")
    return beacons, installs
