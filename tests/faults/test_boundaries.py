"""The loader's process is killed at each of its boundaries, one by one, on real engines."""

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collector.batch_insert import TABLES
from collector.loader import Loader
from collector.planes import Planes, encode
from collector.spool import Row, Spool
from core.home import Home
from core.settings import Settings
from tests import processes
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url
from tests.faults.verdict import Difference, differences, ledger
from tests.processes import CONTEXT
from warehouse import recount
from warehouse.engine import Engine
from warehouse.migrate import migrate

BOTH, LICENSE, NEITHER = (1, 1), (0, 1), (0, 0)


class Moment(NamedTuple):
    """When the process is killed: seconds after a call begins, or None for after it ends. Only calls about `about`
    count.

    `left` is what the batch then still names: usage and license. It is None if there is no batch.
    """

    owner: type
    method: str
    about: str
    seconds: float | None
    left: tuple[int, int] | None


MOMENTS = {
    "not sealed": Moment(Spool, "seal", "", 0, None),
    "sealed": Moment(Spool, "seal", "", None, BOTH),
    "usage about to be inserted": Moment(Engine, "insert", TABLES["usage"], 0, BOTH),
    "usage being inserted": Moment(Engine, "insert", TABLES["usage"], 0.01, BOTH),
    "usage inserted, not noted": Moment(Engine, "insert", TABLES["usage"], None, BOTH),
    "usage noted": Moment(Spool, "loaded", "usage", None, LICENSE),
    "license being inserted": Moment(Engine, "insert", TABLES["license"], 0.01, LICENSE),
    "license inserted, not noted": Moment(Engine, "insert", TABLES["license"], None, LICENSE),
    "both noted, not deleted": Moment(Spool, "delete", "", 0, NEITHER),
    "deleted": Moment(Spool, "delete", "", None, None),
}


def end_at(moment: Moment) -> None:
    """Arrange the kill of this process at a moment."""
    real = getattr(moment.owner, moment.method)

    def called(this: Any, *arguments: Any, **named: Any) -> Any:
        if moment.about and moment.about not in arguments:
            return real(this, *arguments, **named)
        if moment.seconds == 0:
            end()
        if moment.seconds:
            threading.Timer(moment.seconds, end).start()
        real(this, *arguments, **named)
        if moment.seconds:
            time.sleep(5)  # it was quicker: then this is "inserted, not noted"
        return end()

    setattr(moment.owner, moment.method, called)


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def life(settings: Settings, before: list[Any], new: list[Any], moment: Moment | None, parent: Connection) -> None:
    """One run of the loader: load what is left, report the counts to the parent, load more, and be killed."""
    home = Home(settings.home)
    planes = Planes(b"root secret of the tests")
    engine, spool = Engine(settings, home), Spool(home.spool)
    migrate(engine)
    loader = Loader(spool, engine)
    while spool.stats().beacons:
        loader.step()
    parent.send((differences(engine, ledger(planes, before)), recount.differences(engine)))
    if moment:
        splits = [planes.split(one, "198.51.100.7", datetime.now(UTC)) for one in new]
        spool.store([Row(one.seen, encode(one.usage), encode(one.license)) for one in splits], time.time())
        end_at(moment)
        loader.step()
    spool.close()
    engine.close()


def left_behind(home: Path) -> tuple[int, int] | None:
    """Return what the sealed batch still names, or None without one."""
    with closing(sqlite3.connect(home / "spool.sqlite")) as spool:
        row = spool.execute("SELECT usage IS NOT NULL, license IS NOT NULL FROM batches").fetchone()
    return tuple(row) if row else None


@pytest.mark.parametrize("kind", ENGINES)
def test_a_kill_at_each_boundary_leaves_every_beacon_once(kind: str, tmp_path: Path) -> None:
    """After each kill the next run loads the rest, and every table counts each beacon once."""
    url = clickhouse_url(kind)
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "") if url else ""
    settings = Settings(
        home=tmp_path / "home", clickhouse_url=url, clickhouse_cluster=cluster, secret="the tests' secret"
    )
    before: list[Any] = []
    died_at = "nothing yet"
    for name, moment in [*MOMENTS.items(), ("its end", None)]:
        new = [beacon() for _ in range(200)]
        here, there = CONTEXT.Pipe()
        process = processes.process(life, settings, before, new, moment, there)
        process.start()
        there.close()
        tables, recounted = here.recv()
        assert set(tables.values()) == {Difference(0, 0)}, (died_at, tables)
        assert recounted == [], died_at
        process.join(60)
        assert process.exitcode == (-signal.SIGKILL if moment else 0), name
        if moment:
            assert left_behind(settings.home) == moment.left, name
        before, died_at = before + new, name
