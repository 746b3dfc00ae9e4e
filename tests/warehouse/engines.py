"""Engines for the tests of this process."""

import os
from pathlib import Path

from core.home import Home
from core.settings import Settings
from warehouse.engine import Engine

SECRET = "the tests' secret"


def engine_at(url: str, folder: Path) -> Engine:
    """The engine of a home in a folder: of the server or cluster at `url`, embedded if it is "". It is not migrated."""
    home = Home(folder / "home")
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "") if url else ""
    return Engine(Settings(home=home.path, clickhouse_url=url, clickhouse_cluster=cluster, secret=SECRET), home)
