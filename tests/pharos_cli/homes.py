"""Homes with beacons in tables and spool. Each is made in a separate process, because chDB must not be forked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from collector.loader import Loader
from collector.spool import Spool
from core.credentials import Credentials
from core.home import Home
from core.settings import Settings
from tests import processes
from tests.end_to_end.beacons import beacon
from tests.migrated import give_tables, made
from tests.warehouse.test_engine import rows
from warehouse.engine import Engine
from warehouse.migrate import migrate


def in_a_process(work: Callable[..., Any], *arguments: Any) -> int:
    """Call a function in a new process; return the exit status."""
    made()
    process = processes.process(work, *arguments)
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def settings(home: Path, url: str = "") -> Settings:
    """Return default settings with this home and ClickHouse."""
    return Settings(home=home, clickhouse_url=url)


def fill(home: Path, url: str, loaded: int, spooled: int) -> None:
    """Create a home with an ingest key, `loaded` beacons in its tables and `spooled` ones in its spool."""
    found = Home(home)
    found.root_secret(settings(home))
    Credentials(found.credentials).add_key()
    if not url:
        give_tables(found)
    engine, spool = Engine(settings(home, url), found), Spool(found.spool)
    migrate(engine)
    spool.store(rows([beacon() for _ in range(loaded)]), 1e9)
    while spool.stats().beacons:
        Loader(spool, engine).step()
    if spooled:
        spool.store(rows([beacon() for _ in range(spooled)]), 1e9)
    engine.close()
