"""Engines for the tests of this process."""

import os
from pathlib import Path

from core.home import Home
from core.settings import Settings
from tests.migrated import give_tables
from warehouse.engine import Engine

SECRET = "the tests' secret"


def engine_at(url: str, folder: Path, *, empty: bool = False) -> Engine:
    """The engine of a home in a folder: of the server or cluster at `url`, embedded if it is "".

    A new embedded one has its tables already, unless it is to be `empty`. Others are not migrated.
    """
    home = Home(folder / "home")
    if not (url or empty or home.engine.exists()):
        give_tables(home)
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "") if url else ""
    return Engine(Settings(home=home.path, clickhouse_url=url, clickhouse_cluster=cluster, secret=SECRET), home)
