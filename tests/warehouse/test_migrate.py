"""The numbered SQL files."""

import hashlib
import re
from typing import Any, cast

from warehouse.engine import Engine
from warehouse.migrate import migrate, sql_files


def test_each_sql_file_has_a_number_of_its_own() -> None:
    """Each file has its own number, a name and a text. Numbers may be missing."""
    names = [name for name, _ in sql_files()]
    numbers = [int(name[:3]) for name in names]
    assert numbers == sorted(set(numbers))
    assert all(re.fullmatch(r"\d{3}_[a-z_]+\.sql", name) for name in names)
    assert all(text.strip() for _, text in sql_files())


def test_statements_may_run_again() -> None:
    """Each CREATE has IF NOT EXISTS, because a crash repeats the earlier statements of a file."""
    for name, text in sql_files():
        for created in re.findall(r"(?:^CREATE|\bADD COLUMN)\b.*", text, flags=re.MULTILINE):
            assert "IF NOT EXISTS" in created, name


class UpToDate:
    """A migrated database on a cluster that rejects CREATE, because a replica is down."""

    cluster = "fleet"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [(int(name[:3]), hashlib.sha256(text.encode()).hexdigest()) for name, text in sql_files()]

    def create_users(self) -> None:
        """Check users, see `test_users_that_are_there_are_only_asked_for`."""


def test_an_up_to_date_database_is_only_asked() -> None:
    """A loader can start while a replica is down, because nothing is created that exists."""
    assert migrate(cast(Engine, UpToDate())) == []
