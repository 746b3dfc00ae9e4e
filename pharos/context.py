"""What every command begins with: the settings, the home, and one line on stderr when something is wrong."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from core.home import Home, HomeError
from core.owner import OwnerError, become_owner, hand_over
from core.settings import Settings


def fail(message: str) -> NoReturn:
    """End with one line on stderr and exit status 1."""
    click.echo(f"pharos: {message}", err=True)
    sys.exit(1)


def load_settings() -> Settings:
    """The settings of the environment. Raises `SettingError`."""
    return Settings.from_environ(os.environ)


def open_home(settings: Settings | None = None, *, service: bool = False) -> Home:
    """The home, closed to others; root goes on as the user that owns it. Raises `HomeError`, also if half restored."""
    settings = settings or load_settings()
    become_home_owner(settings, service=service)
    found = Home(settings.home)
    found.protect()
    found.require_writable()
    if found.restoring.exists():
        raise HomeError(f"the restore into {found.path} did not come to its end: run the same pharos restore again")
    return found


def become_home_owner(settings: Settings, folder: Path | None = None, *, service: bool = False) -> None:
    """As root, go on as the user that owns the home, who gets the new `folder`. Raises `HomeError`.

    A command may go on reading root's files, a `service` may not.
    """
    if folder is not None:
        with suppress(OSError):  # whoever uses the folder says what is wrong with it
            hand_over(folder, settings.home)
    try:
        become_owner(settings.home, keep_reading=not service)
    except OwnerError as error:
        raise HomeError(str(error)) from None
