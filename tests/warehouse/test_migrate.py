"""The numbered SQL files."""

import hashlib
import re
from importlib.resources import files
from typing import Any, cast

from warehouse import install_data
from warehouse.engine import Engine
from warehouse.migrate import migrate, sql_files, statements
from warehouse.plane_tables import EVERYWHERE, LICENSE, PLANES, belongs, plane_of
from warehouse.server_users import GRANTS, ServerUser

FRESH = ("fresh.sql", files("warehouse").joinpath("fresh.sql").read_text(encoding="utf-8"))
# A table or a view in a statement.
NAMED = re.compile(r"\b(?:(?:TABLE|VIEW)(?: IF(?: NOT)? EXISTS)?|INTO|FROM|TO|JOIN)\s+(?!IF\b)(\w+)")


def test_each_sql_file_has_a_number_of_its_own() -> None:
    """Each file has its own number, a name and a text. Numbers may be missing."""
    names = [name for name, _ in sql_files()]
    numbers = [int(name[:3]) for name in names]
    assert numbers == sorted(set(numbers))
    assert all(re.fullmatch(r"\d{3}_[a-z_]+\.sql", name) for name in names)
    assert all(text.strip() for _, text in sql_files())


def test_statements_may_run_again() -> None:
    """Each CREATE has IF NOT EXISTS, because a crash repeats the earlier statements of a file."""
    for name, text in [*sql_files(), FRESH]:
        for created in re.findall(r"(?:^CREATE|\bADD COLUMN)\b.*", text, flags=re.MULTILINE):
            assert "IF NOT EXISTS" in created, name


def test_a_statement_names_tables_of_one_plane() -> None:
    """Each statement of an SQL file names tables and views of one plane, so that the planes may have two servers."""
    named = {"usage": set[str](), "license": set[str]()}
    for name, text in [*sql_files(), FRESH]:
        for statement in statements(text):
            assert belongs(statement, ("usage",)) or belongs(statement, ("license",)), (name, statement)
            tables = set(re.findall(NAMED, statement)) - EVERYWHERE
            assert len({plane_of(table) for table in tables}) <= 1, (name, tables)
            for table in tables:
                named[plane_of(table)].add(table)
    assert named["license"] >= LICENSE
    assert not {table for table in named["usage"] if "license" in table or "sighting" in table}


def test_each_table_of_an_install_has_its_plane() -> None:
    """The tables that the rights code erases from, and those that the readers may read, belong to their planes."""
    for plane, tables in install_data.ALL_TABLES.items():
        assert {plane_of(table) for table in (*tables, install_data.RETIRED[plane])} == {plane}
    for account, plane in ((ServerUser.PRODUCT, "usage"), (ServerUser.LICENSING, "license")):
        assert {plane_of(table) for _, table, _ in GRANTS[account]} == {plane}


class UpToDate:
    """A migrated database on a cluster that rejects CREATE, because a replica is down."""

    cluster, planes = "fleet", PLANES
    raw_days, aggregate_months = 35, 25

    @property
    def servers(self) -> list["UpToDate"]:
        return [self]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if "create_table_query" in sql:
            return [("usage_beacons_local", ") ENGINE = MergeTree TTL received + toIntervalDay(35)")]
        if "system.tables" in sql:
            return [("usage_beacons",), ("license_sightings",)]
        return [(int(name[:3]), hashlib.sha256(text.encode()).hexdigest()) for name, text in sql_files()]

    def create_users(self) -> None:
        """Check users, see `test_users_that_are_there_are_only_asked_for`."""


def test_an_up_to_date_database_is_only_asked() -> None:
    """A loader can start while a replica is down, because nothing is created that exists."""
    assert migrate(cast(Engine, UpToDate())) == []
