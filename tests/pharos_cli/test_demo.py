"""`pharos demo`: a synthetic fleet goes into a home and a database of its own."""

import os
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.loader import Loader
from collector.spool import Spool
from core.home import Home, HomeError
from core.settings import Settings
from pharos.demo import fill
from tests.end_to_end.system import clickhouse_url
from tests.pharos_cli.command import pharos
from warehouse.engine import Engine
from warehouse.licensing import states_key
from warehouse.migrate import migrate

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)


def demonstrate(settings: Settings, home: Home) -> None:
    """Fill a home with a small fleet, as the command does before it serves."""
    fill(settings, home, seed=1, installs=3, days=2, today=YESTERDAY, progress=lambda _: None)


@pytest.mark.server
def test_a_database_with_data_of_another_home_is_left_alone(tmp_path: Path) -> None:
    """An empty one is filled, and served again later. Neither a new home nor another demonstration goes into it."""
    url, cluster = clickhouse_url("server"), os.environ.get("CLICKHOUSE_CLUSTER", "")
    settings = Settings(clickhouse_url=url, clickhouse_cluster=cluster)
    first, new, second = (Home(tmp_path / name) for name in ("first", "new", "second"))
    demonstrate(settings, first)
    with closing(Engine(settings, first)) as engine, closing(Spool(first.spool)) as spool:
        migrate(engine)
        states_key.claim(engine)
        while spool.stats().beacons:
            Loader(spool, engine).step()
        ((beacons,),) = engine.query("SELECT count() FROM usage_beacons")
    assert beacons
    demonstrate(settings, first)
    demonstrate(Settings(), second)
    for home in (new, second):
        with pytest.raises(HomeError, match="of PHAROS_CLICKHOUSE_URL contains other data"):
            demonstrate(settings, home)
    assert not new.synthetic.exists()
    done = pharos(new.path, "demo", PHAROS_CLICKHOUSE_URL=url, PHAROS_CLICKHOUSE_CLUSTER=cluster)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("pharos: the database pharos_")
    assert not new.spool.exists()


def test_a_server_that_does_not_answer_gets_no_fleet(tmp_path: Path) -> None:
    """Whether its database is in use is not known."""
    done = pharos(tmp_path / "home", "demo", PHAROS_CLICKHOUSE_URL="http://127.0.0.1:9/pharos")
    assert (done.returncode, done.stderr.splitlines()[-1].startswith("pharos: ")) == (1, True), done.stderr
    assert not (tmp_path / "home" / "synthetic").exists()


def test_a_second_one_over_a_home_fills_nothing(tmp_path: Path) -> None:
    """It says that the first one runs, which may still be filling. So does one whose address is in use."""
    home = Home(tmp_path / "home")
    with home.lock("serve"):
        done = pharos(home.path, "demo", "--installs", "3", "--days", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"pharos: Pharos is already running with the home {home.path} (another process holds serve.lock): "
        "stop it first\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        done = pharos(home.path, "demo", "--installs", "3", "--days", "2", PHAROS_COLLECTOR_BIND=bind)
    assert done.returncode == 1
    assert done.stderr.startswith(f"pharos: PHAROS_COLLECTOR_BIND {bind} cannot be used")
    assert not home.spool.exists()
    assert not home.synthetic.exists()
