"""What every command begins with: the settings, the home, and one line on stderr when something is wrong."""

import os
import sys
from typing import NoReturn

import click

from core.home import Home, HomeError
from core.settings import Settings


def fail(message: str) -> NoReturn:
    """End with one line on stderr and exit status 1."""
    click.echo(f"pharos: {message}", err=True)
    sys.exit(1)


def load_settings() -> Settings:
    """The settings of the environment. Raises `SettingError`."""
    return Settings.from_environ(os.environ)


def open_home(settings: Settings | None = None) -> Home:
    """The home, closed to others. Raises `HomeError`, also for one that is half restored."""
    found = Home((settings or load_settings()).home)
    found.protect()
    if found.restoring.exists():
        raise HomeError(f"the restore into {found.path} did not come to its end: run the same pharos restore again")
    return found
