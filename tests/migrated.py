"""Tables of the embedded engine, made once: a new home with a copy of them has nothing to migrate."""

import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from core.home import Home
from core.settings import Settings
from tests.processes import apart
from warehouse.engine import Engine
from warehouse.migrate import migrate

# The home with the tables. Processes that are made by `processes` have it from their parent.
NAME = "MIGRATED_HOME"


def give_tables(home: Home) -> None:
    """Give a new home the tables of the embedded engine. They are empty."""
    shutil.copytree(Home(made()).engine, home.engine, symlinks=True)


def made() -> Path:
    """Return a home with the tables of the embedded engine."""
    if NAME not in os.environ:
        os.environ[NAME] = _made().name
    return Path(os.environ[NAME])


@cache
def _made() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="pharos-migrated-")
    apart(_migrate, 120, Path(folder.name))
    return folder


def _migrate(path: Path) -> None:
    home = Home(path)
    engine = Engine(Settings(home=path), home)
    migrate(engine)
    engine.close()
