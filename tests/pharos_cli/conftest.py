"""A backup that several tests read."""

from pathlib import Path

import pytest

from tests.pharos_cli.command import pharos
from tests.pharos_cli.homes import fill, in_a_process


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of 40 beacons in the tables and 10 in the spool."""
    folder = tmp_path_factory.mktemp("whole")
    assert in_a_process(fill, folder / "home", "", 40, 10) == 0
    done = pharos(folder / "home", "backup", "--with-secret", str(folder / "backup"))
    assert done.returncode == 0, done.stderr
    return folder / "backup"
