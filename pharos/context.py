"""Common start of all commands: load the settings, open the home, and report an error as one line on stderr."""

import os
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import NoReturn

import click

from core.home import Home, HomeError
from core.owner import OwnerError, become_owner, hand_over
from core.settings import Settings


def fail(message: str) -> NoReturn:
    """Print one line to stderr and exit with status 1."""
    click.echo(f"pharos: {message}", err=True)
    sys.exit(1)


def load_settings() -> Settings:
    """Return the settings from the environment. Raises `SettingError`."""
    return Settings.from_environ(os.environ)


def open_home(settings: Settings | None = None, *, service: bool = False, existing: bool = True) -> Home:
    """Open the home and close it to other users. Root continues as the user that owns the home.

    A `service` creates a missing home, as does a command whose home need not be an `existing` one.
    Raises `HomeError`, also for a half restored home.
    """
    settings = settings or load_settings()
    if existing and not service and not settings.home.exists():
        # In a new one in the wrong place, a command would succeed in vain.
        raise HomeError(f"there is no home at {settings.home.absolute()}: set PHAROS_HOME to that of Pharos")
    become_home_owner(settings, service=service)
    found = Home(settings.home)
    found.protect()
    found.require_writable()
    if found.restoring.exists():
        raise HomeError(f"the restore into {found.path} did not finish: run the same pharos restore again")
    return found


def require_tables(home: Home) -> None:
    """Raise `HomeError` if the folder of the embedded ClickHouse is gone after beacons were loaded into it.

    A disk that is not mounted would otherwise look like a new database without figures.
    """
    if home.engine.exists() or not home.spool.exists():
        return
    from collector.spool import Spool

    with closing(Spool(home.spool)) as spool:  # for writing: a collector that starts may not have made its tables yet
        loaded = spool.loading().loaded
    if loaded:
        raise HomeError(
            f"{home.engine} is missing, and {loaded} beacons were loaded into it: mount its disk, restore a backup, or "
            "create the empty folder to begin with no figures"
        )


def left_behind(home: Home) -> str:
    """Return a warning if a home that is used with a ClickHouse server has tables of the embedded engine, else ""."""
    if not home.engine.exists():
        return ""
    return (
        f"the tables in {home.engine} are not read, because PHAROS_CLICKHOUSE_URL is set: to bring them along, make a "
        "backup without it and restore that with it into a new home (README, Backup); or delete that folder"
    )


def become_home_owner(settings: Settings, folder: Path | None = None, *, service: bool = False) -> None:
    """As root, continue as the user that owns the home, and give the new `folder` to that user. Raises `HomeError`.

    A command can still read root's files afterwards, a `service` cannot.
    """
    if folder is not None:
        with suppress(OSError):  # using the folder reports the error
            hand_over(folder, settings.home)
    try:
        become_owner(settings.home, keep_reading=not service)
    except OwnerError as error:
        raise HomeError(str(error)) from None
