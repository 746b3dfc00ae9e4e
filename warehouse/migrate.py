"""Apply the numbered SQL files, each once. A file that was applied is never edited: the next change is a new file."""

import hashlib
import re
from contextlib import suppress
from importlib.resources import files
from string import Template

from warehouse.engine import Engine, EngineError
from warehouse.identifiers import quoted

# On a cluster each table stands on its shards as `X_local`, and `X` spreads over them by these.
_SHARDING = {
    "freshness_by_loader": "cityHash64(loader)",
    "migrations": "version",
    "standings": "who",  # until it is dropped
    "install_states": "who",
    "sealed_beacons": "who",
    "rights_requests": "id",
}
# How many tokens a table with sums remembers. Loaders beside a server pause between small batches
# (`collector/loader.py`), so five of them bring a million in a week. The embedded engine has one loader, which sends a
# batch of unknown outcome again before any other.
TOKENS = 1_000_000
TOKEN_SECONDS = 14 * 86_400
EMBEDDED_TOKENS = 10_000
_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS migrations$local $on_cluster (version UInt32, name String, sha256 String, applied DateTime)
ENGINE = ${replicated}ReplacingMergeTree ORDER BY version
"""


class MigrationError(Exception):
    """The database and the SQL files do not fit; the message says which."""


def migrate(engine: Engine) -> list[str]:
    """Bring the database and its users up to date; returns the names of the files that were applied."""
    done = _done(engine)
    applied = []
    for name, text in sql_files():
        version, sha256 = int(name[:3]), hashlib.sha256(text.encode()).hexdigest()
        if version in done:
            if done[version] != sha256:
                raise MigrationError(f"{name} is not the file that was applied to this database")
            continue
        _apply(engine, text)
        engine.command(f"INSERT INTO migrations VALUES ({version}, '{name}', '{sha256}', now())")  # noqa: S608
        applied.append(name)
    unknown = set(done) - {int(name[:3]) for name, _ in sql_files()}
    if unknown:
        raise MigrationError(f"the database is newer than this Pharos: it has migration {max(unknown)}")
    engine.create_users()
    return applied


def _done(engine: Engine) -> dict[int, str]:
    """The version and checksum of each file that was applied; an empty database gets the table that keeps them."""
    applied = "SELECT DISTINCT version, sha256 FROM migrations"
    # Asked first: on a cluster a statement that creates, even what is there, waits for every replica. A loader that
    # is started while one is down must not.
    with suppress(EngineError):
        return dict(engine.query(applied))
    engine.create_database()
    _apply(engine, _MIGRATIONS)
    return dict(engine.query(applied))


def sql_files() -> list[tuple[str, str]]:
    """(name, text) of the SQL files, in order."""
    found = (file for file in files("warehouse").joinpath("sql").iterdir() if file.name.endswith(".sql"))
    return sorted((file.name, file.read_text(encoding="utf-8")) for file in found)


def _apply(engine: Engine, text: str) -> None:
    """Run a file's statements; all of them may run again after a crash in between."""
    cluster = engine.cluster
    values = {
        "local": "_local" if cluster else "",
        "on_cluster": engine.on_cluster,
        "replicated": "Replicated" if cluster else "",
        "deduplication_window": "replicated_deduplication_window" if cluster else "non_replicated_deduplication_window",
        "deduplication": _deduplication(engine),
    }
    for statement in re.split(r";\s*$", text, flags=re.M):
        statement = re.sub(r"^--.*\n?", "", statement, flags=re.M).strip()
        if not statement:
            continue
        engine.command(Template(statement).substitute(values))
        if cluster and re.match(r"ALTER TABLE \w+\$local \$on_cluster\s+(ADD|DROP) COLUMN", statement):
            # The Distributed table in front of the shards has columns of its own.
            engine.command(Template(statement).substitute({**values, "local": ""}))
        table = re.match(r"CREATE TABLE IF NOT EXISTS (\w+)\$local", statement)
        if cluster and table:
            name = table[1]
            engine.command(
                f"CREATE TABLE IF NOT EXISTS {name}{engine.on_cluster} AS {name}_local ENGINE = "
                f"Distributed({quoted(cluster)}, currentDatabase(), {name}_local, {_SHARDING.get(name, 'install')})"
            )


def _deduplication(engine: Engine) -> str:
    """The settings of a table that remembers the tokens of its inserts for long enough: for tables with sums."""
    if engine.cluster:
        return f"replicated_deduplication_window = {TOKENS}, replicated_deduplication_window_seconds = {TOKEN_SECONDS}"
    return f"non_replicated_deduplication_window = {EMBEDDED_TOKENS if engine.embedded else TOKENS}"
