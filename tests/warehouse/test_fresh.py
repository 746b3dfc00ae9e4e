"""A new database has the tables that the numbered files make, in a fraction of their statements."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse import migrate
from warehouse.engine import Engine, EngineError

pytestmark = pytest.mark.parametrize("kind", ENGINES)
Tables = dict[str, object]


def tables(engine: Engine) -> Tables:
    """Return what each table is. The order of its settings, and of columns that are asked for by name, is left out."""
    found = engine.query(
        "SELECT name, engine, create_table_query FROM system.tables WHERE database = currentDatabase()"
    )
    made: Tables = {}
    for name, kind, query in found:
        text = query.replace(engine.database, "pharos")
        before, _, settings = text.partition(" SETTINGS ")
        made[name] = (before.partition(" COMMENT 'begun")[0], set(settings.partition(" COMMENT ")[0].split(", ")))
        if kind == "Distributed":
            engine_of = before.partition(") ENGINE = ")[2].partition(" COMMENT 'begun")[0]
            made[name] = (set(re.findall(r"`(\w+)` (\w+)", before)), engine_of)
    return made


def made_by_numbered_files(engine: Engine, _: Home) -> tuple[list[str], Tables]:
    before, migrate.FRESH = migrate.FRESH, frozenset({999})
    try:
        return migrate.migrate(engine), tables(engine)
    finally:
        migrate.FRESH = before


def made_fresh(engine: Engine, _: Home) -> tuple[list[str], Tables, int]:
    """Make a database whose maker is killed after none of its statements, then after 1, 3, 7 and so on."""
    command, kills = engine.command, 0
    while True:
        left = iter(range(kills))

        def until_killed(sql: str, settings: object = None, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise EngineError("killed")
            command(sql)

        engine.command = until_killed  # type: ignore[method-assign]
        try:
            migrate.migrate(engine)
            # The last attempt applies what was left of them.
            applied = [name for (name,) in engine.query("SELECT DISTINCT name FROM migrations ORDER BY name")]
            return applied, tables(engine), kills
        except EngineError:
            kills += kills + 1


def test_a_new_database_is_as_the_numbered_files_make_it(kind: str, tmp_path: Path) -> None:
    """`fresh.sql` makes what the files that it stands for make, also when a kill in between repeats it."""
    names, expected = done_in(kind, tmp_path / "numbered", made_by_numbered_files, empty=True)
    applied, found, kills = done_in(kind, tmp_path / "fresh", made_fresh, empty=True)
    assert found == expected
    assert applied == names == [name for name, _ in migrate.sql_files()]
    assert kills >= len(found) // 2
