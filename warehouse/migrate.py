"""Applies each numbered SQL file once. Never edit a file that was applied: add a new file for the next change."""

import hashlib
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from importlib.resources import files
from string import Template

from warehouse import month_tables, retention
from warehouse.engine import Engine, EngineError
from warehouse.identifiers import quoted
from warehouse.plane_tables import PLANES, belongs
from warehouse.server_users import ServerUser
from warehouse.statement_settings import NO_TTL_MERGES

# On a cluster, `X_local` holds the rows on each shard, and the Distributed table `X` shards them by these keys. The
# default key is `install`.
_SHARDING = {
    "freshness_by_loader": "cityHash64(loader)",
    "migrations": "version",
    "rejections": "cityHash64(loader)",
    "development_beacons": "cityHash64(id)",
    "filled_months": "toYYYYMM(month)",  # until it is dropped
    "standings": "who",  # until it is dropped
    "install_states": "who",
    "sealed_beacons": "who",
    "license_registry": "key",
    "license_beacons_per_hour": "cityHash64(hour)",
    "license_incidents": "cityHash64(module)",
    "license_states_key": "one",
    "sealed_months": "who",
    "rights_requests": "id",
}
# How many insert tokens a table with sums remembers. Loaders of a server pause between small batches
# (`collector/loader.py`), so five loaders send a million batches in a week. The embedded engine has one loader, which
# retries a batch of unknown outcome before it sends another one.
TOKENS = 1_000_000
TOKEN_SECONDS = 14 * 86_400
EMBEDDED_TOKENS = 10_000
# The raw table of each plane, and the file that creates it.
_FIRST = {"usage": ("usage_beacons", 1), "license": ("license_sightings", 2)}
# The numbered files that `fresh.sql` stands for, in a database that began with it: the comment of `migrations` says so.
FRESH = frozenset({1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 15, 30, 31, 32, 40, 50, 51, 55, 60})
_BEGUN = "begun with fresh.sql"
_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS migrations$local $on_cluster (version UInt32, name String, sha256 String, applied DateTime)
ENGINE = ${replicated}ReplacingMergeTree ORDER BY version $begun
"""


class MigrationError(Exception):
    """The database does not match the SQL files. The message names the difference."""


def migrate(engine: Engine) -> list[str]:
    """Bring the database of each server and its users up to date; returns the names of the applied files."""
    applied = [name for server in engine.servers for name in _migrate(server)]
    return list(dict.fromkeys(applied))


def _migrate(engine: Engine) -> list[str]:
    done, applied, found = _done(engine), [], sql_files()
    _check_planes(engine, done)
    for name, text in found:
        if done.get(_version(name), _sha256(text)) != _sha256(text):
            raise MigrationError(f"{name} is not the file that was applied to this database")
    if _fresh(engine, done):
        _apply(engine, files("warehouse").joinpath("fresh.sql").read_text(encoding="utf-8"))
        applied = [(name, text) for name, text in found if _version(name) in FRESH]
        _record(engine, applied)
    for name, text in found:
        if _version(name) in done or (name, text) in applied:
            continue
        _apply(engine, text)
        if name == month_tables.AFTER:
            month_tables.fill(engine)
        if name == month_tables.USED_AFTER:
            month_tables.fill_used(engine)
        _record(engine, [(name, text)])
        applied.append((name, text))
    unknown = set(done) - _version_numbers()
    if unknown:
        raise MigrationError(f"the database is newer than this Pharos: it has migration {max(unknown)}")
    names = [name for name, _ in applied]
    if _version(retention.SET_AFTER) in done or retention.SET_AFTER in names:
        retention.adjust(engine)
    if names and engine.embedded:
        engine.command(NO_TTL_MERGES)  # what was said at the start does not hold for new tables
    engine.create_users()
    return names


def _fresh(engine: Engine, done: Collection[int]) -> bool:
    """Return whether the tables of a new database are still to be made: from `fresh.sql`, as often as it takes."""
    return not FRESH.issubset(done) and bool(
        engine.query(
            "SELECT 1 FROM system.tables WHERE database = currentDatabase() "
            "AND name IN ('migrations', 'migrations_local') AND comment = {begun:String}",
            {"begun": _BEGUN},
        )
    )


def _record(engine: Engine, applied: list[tuple[str, str]]) -> None:
    rows = ", ".join(f"({_version(name)}, '{name}', '{_sha256(text)}', now())" for name, text in applied)
    engine.command(f"INSERT INTO migrations VALUES {rows}")  # noqa: S608


def _version_numbers() -> set[int]:
    return {_version(name) for name, _ in sql_files()}


def _version(name: str) -> int:
    return int(name[:3])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _done(engine: Engine) -> dict[int, str]:
    """Return the version and checksum of each applied file. Creates the table for them in an empty database."""
    applied = "SELECT DISTINCT version, sha256 FROM migrations"
    # Query first: on a cluster a CREATE statement waits for every replica, even if the table exists. A loader that
    # starts while a replica is down must not wait.
    with suppress(EngineError):
        return dict(engine.query(applied))
    engine.create_database()
    _apply(engine, _MIGRATIONS)
    return dict(engine.query(applied))


def _check_planes(engine: Engine, done: Collection[int]) -> None:
    """Raise `MigrationError` when the database was made for other planes than the settings say."""
    tables = {name for (name,) in engine.query("SELECT name FROM system.tables WHERE database = currentDatabase()")}
    for plane in PLANES:
        (raw, version), wanted = _FIRST[plane], plane in engine.planes
        if raw in tables and not wanted:
            raise MigrationError(
                f"the database {engine.database} already holds the {plane} plane, which the settings put on the other "
                "server: make a backup with the settings of before, and restore it into two empty databases"
            )
        if version in done and raw not in tables and wanted:
            raise MigrationError(
                f"the database {engine.database} was made without the {plane} plane: it needs the same "
                "PHAROS_CLICKHOUSE_URL and PHAROS_LICENSE_CLICKHOUSE_URL as before"
            )


def pending(engine: Engine) -> list[str]:
    """Return the names of the files that this version needs and that its first server has not applied.

    Raises `EngineError` when there is no answer, or no database yet.
    """
    done = {version for (version,) in engine.as_user(ServerUser.PRODUCT).query("SELECT version FROM migrations")}
    return [name for name, _ in sql_files() if _version(name) not in done]


def sql_files() -> list[tuple[str, str]]:
    """Return (name, text) of the SQL files, in order."""
    found = (file for file in files("warehouse").joinpath("sql").iterdir() if file.name.endswith(".sql"))
    return sorted((file.name, file.read_text(encoding="utf-8")) for file in found)


def statements(text: str) -> Iterator[str]:
    """Yield the statements of a file, without comments."""
    for statement in re.split(r";\s*$", text, flags=re.M):
        if statement := re.sub(r"^--.*\n?", "", statement, flags=re.M).strip():
            yield statement


def _apply(engine: Engine, text: str) -> None:
    """Run the statements of a file about this server's planes. After a crash in between, all of them run again."""
    cluster = engine.cluster
    values = {
        "begun": f"COMMENT '{_BEGUN}'" if _version_numbers() >= FRESH else "",
        "local": "_local" if cluster else "",
        "on_cluster": engine.on_cluster,
        "replicated": "Replicated" if cluster else "",
        "deduplication_window": "replicated_deduplication_window" if cluster else "non_replicated_deduplication_window",
        "deduplication": _deduplication(engine),
        "one_on_each_shard": f"Distributed({quoted(cluster)}, system, one)" if cluster else "Merge(system, '^one$')",
    }
    for statement in statements(text):
        if not belongs(statement, engine.planes):
            continue
        engine.command(Template(statement).substitute(values))
        if cluster and re.match(r"ALTER TABLE \w+\$local \$on_cluster\s+(ADD|DROP) COLUMN", statement):
            # The Distributed table has its own list of columns, and no order.
            columns = re.sub(r",\s+MODIFY ORDER BY .*", "", statement, flags=re.S)
            engine.command(Template(columns).substitute({**values, "local": ""}))
        table = re.match(r"CREATE TABLE IF NOT EXISTS (\w+)\$local", statement)
        if cluster and table:
            name = table[1]
            engine.command(
                f"CREATE TABLE IF NOT EXISTS {name}{engine.on_cluster} AS {name}_local ENGINE = "
                f"Distributed({quoted(cluster)}, currentDatabase(), {name}_local, {_SHARDING.get(name, 'install')})"
            )


def _deduplication(engine: Engine) -> str:
    """Return the table settings that keep insert tokens long enough. Tables with sums need them."""
    if engine.cluster:
        return f"replicated_deduplication_window = {TOKENS}, replicated_deduplication_window_seconds = {TOKEN_SECONDS}"
    return f"non_replicated_deduplication_window = {EMBEDDED_TOKENS if engine.embedded else TOKENS}"
