"""Where the embedded engine stores its data, and which time zone it uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASKED = """
import sys
from pathlib import Path
from core.home import Home
from core.settings import Settings
from warehouse.engine import Engine
from warehouse.migrate import migrate

home = Home(Path(sys.argv[1]))
for _ in range(2):
    engine = Engine(Settings(home=home.path), home)
    applied = migrate(engine)
    print(len(applied) > 0, engine.query("SELECT timezone(), toString(toDateTime(0))"))
    engine.close()
"""


def asked(home: Path, **environ: str) -> list[str]:
    """Open an engine of this home twice in one process; return its results."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(home)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


OPENED_TWICE = [f"{applied} [('UTC', '1970-01-01 00:00:00')]" for applied in (True, False)]


@pytest.mark.parametrize("zone", ["UTC+1", "Foo/Bar", "Pacific/Auckland"])
def test_the_engine_is_in_utc_whatever_the_zone_of_the_process(zone: str, tmp_path: Path) -> None:
    """The engine uses UTC, also where ClickHouse does not know the process's zone."""
    assert asked(tmp_path / "home", TZ=zone) == OPENED_TWICE


@pytest.mark.parametrize("name", ["what?", "100%41", "two words", 'it\'s "quoted"', "Müller & Söhne", "a#b?c=d"])
def test_the_engine_lies_in_its_home_whatever_the_home_is_called(name: str, tmp_path: Path) -> None:
    """With any home path the engine is in the home. chDB reads a path as a connection string."""
    home = tmp_path / name / "home"
    assert asked(home) == OPENED_TWICE
    assert (home / "clickhouse" / "store").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["home"]
