"""Killed backups and restores, and backups during loading: each beacon counts once in the end."""

import json
import os
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from collector.loader import Loader
from collector.spool import Batch, Spool
from core.home import Home
from pharos import backup as made
from pharos import manifest
from pharos import restore as brought
from tests.collector.sample import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url
from tests.pharos_cli.command import pharos
from tests.pharos_cli.homes import fill, in_a_process, settings
from tests.warehouse.test_engine import uses
from warehouse import export
from warehouse.engine import Engine
from warehouse.recount import differences


def killed(*_: Any, **__: Any) -> Any:
    os._exit(9)


def backup_that_dies(home: Path, folder: Path) -> None:
    manifest.write = killed
    made.backup(settings(home), Home(home), folder, lambda done, total: None, tables=False, with_secret=True)


def test_a_backup_that_was_killed_is_none(tmp_path: Path) -> None:
    """A killed backup has no manifest and cannot be restored. The next backup needs another folder."""
    pharos(tmp_path / "home", "import", "-", given=json.dumps(beacon()).encode())
    assert in_a_process(backup_that_dies, tmp_path / "home", tmp_path / "backup") == 9
    assert (tmp_path / "backup" / "spool.sqlite").exists()
    assert "was not finished" in pharos(tmp_path / "new", "restore", str(tmp_path / "backup")).stderr
    assert (
        "is not empty"
        in pharos(tmp_path / "home", "backup", "--with-secret", str(tmp_path / "backup"), "--home-only").stderr
    )
    assert pharos(tmp_path / "home", "backup", "--with-secret", str(tmp_path / "other"), "--home-only").returncode == 0


def backup_in_small_parts(home: Path, url: str, folder: Path) -> None:
    export.PART_ROWS = 15
    made.backup(settings(home, url), Home(home), folder, lambda done, total: None, tables=True, with_secret=True)


def restore_that_dies(home: Path, url: str, folder: Path, moment: str) -> None:
    write, inserted = Engine.write, []

    def writing(engine: Engine, table: str, native: bytes, token: str) -> None:
        write(engine, table, native, token)
        inserted.append(table)
        if moment == f"inserted: {len(inserted)}":
            os._exit(9)

    Engine.write = writing  # type: ignore[method-assign,assignment]
    if moment == "marked":
        brought._tables = killed
    elif moment == "tables":
        Spool.renumber = killed  # type: ignore[method-assign]
    elif moment == "spool":
        brought.sync_folder = killed  # type: ignore[attr-defined]
    brought.restore(settings(home, url), folder, lambda done, total: None)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_restore_that_was_killed_is_run_again(kind: str, tmp_path: Path) -> None:
    """A restore that is killed repeatedly continues each time. Meanwhile nothing starts, and nothing is doubled."""
    url = clickhouse_url(kind)
    assert in_a_process(fill, tmp_path / "home", url, 40, 10) == 0
    assert in_a_process(backup_in_small_parts, tmp_path / "home", url, tmp_path / "backup") == 0
    assert len(list((tmp_path / "backup" / "tables").glob("usage_beacons.*"))) == 3
    new, url = tmp_path / "new", clickhouse_url(kind)
    for moment in ("marked", "inserted: 1", "inserted: 5", "tables", "spool"):
        assert in_a_process(restore_that_dies, new, url, tmp_path / "backup", moment) == 9, moment
    for words in (("keys", "list"), ("serve",), ("import", "-")):
        done = pharos(new, *words, PHAROS_CLICKHOUSE_URL=url)
        assert done.returncode == 1
        assert "did not finish: run the same pharos restore again" in done.stderr
    assert "FAIL home" in pharos(new, "doctor", PHAROS_CLICKHOUSE_URL=url).stdout
    done = pharos(new, "restore", str(tmp_path / "backup"), PHAROS_CLICKHOUSE_URL=url)
    assert (done.returncode, done.stdout) == (0, "restored beacons=40 installs=40 spooled=10\n"), done.stderr
    done = pharos(new, "recount", PHAROS_CLICKHOUSE_URL=url)
    assert (done.returncode, done.stdout) == (0, "the aggregates equal a recount of their rows\n")
    assert not (new / "restoring").exists()


def test_half_of_one_backup_and_half_of_another_is_refused(whole: Path, tmp_path: Path) -> None:
    """A killed restore can continue only from the same backup."""
    pharos(tmp_path / "home", "import", "-", given=json.dumps(beacon()).encode())
    pharos(tmp_path / "home", "backup", "--with-secret", str(tmp_path / "backup"), "--home-only")
    assert in_a_process(restore_that_dies, tmp_path / "new", "", whole, "marked") == 9
    done = pharos(tmp_path / "new", "restore", str(tmp_path / "backup"))
    assert done.returncode == 1
    assert "is half restored from another backup" in done.stderr


class Killed(BaseException):
    """The loader ends here."""


MOMENTS = ("sealed", "inserted, not noted: usage", "noted: usage", "inserted, not noted: license")


def backup_at(home: Path, url: str, folder: Path, moment: str) -> None:
    """Load half of the beacons, the rest up to `moment`, then back up."""
    fill(home, url, 30, 40)
    engine, spool = Engine(settings(home, url), Home(home)), Spool(home / "spool.sqlite")
    what, _, plane = moment.partition(": ")
    loaded = Spool.loaded

    def noting(spool: Spool, batch: Batch, of: Any) -> Batch:
        if what != "noted" and of == plane:
            raise Killed
        noted = loaded(spool, batch, of)
        if of == plane:
            raise Killed
        return noted

    Spool.loaded = noting  # type: ignore[method-assign,assignment]
    if what == "sealed":
        spool.seal(100)
    else:
        with suppress(Killed):
            Loader(spool, engine).step()
    assert spool.stats().sealed == 1
    spool.close()
    engine.close()
    made.backup(settings(home, url), Home(home), folder, lambda done, total: None, tables=True, with_secret=True)


def restore_load_and_count(home: Path, url: str, folder: Path) -> None:
    assert brought.restore(settings(home, url), folder, lambda done, total: None).spooled == 40
    engine, spool = Engine(settings(home, url), Home(home)), Spool(home / "spool.sqlite")
    while spool.stats().beacons:
        Loader(spool, engine).step()
    assert (uses(engine), differences(engine)) == (70, [])
    assert engine.query("SELECT uniqExact(install) FROM license_states") == [(70,)]


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_batch_that_was_under_way_counts_once(kind: str, moment: str, tmp_path: Path) -> None:
    """A batch that was in no table, one plane or both during the backup counts once after the restore."""
    url, other_url = clickhouse_url(kind), clickhouse_url(kind)
    assert in_a_process(backup_at, tmp_path / "home", url, tmp_path / "backup", moment) == 0
    assert in_a_process(restore_load_and_count, tmp_path / "new", other_url, tmp_path / "backup") == 0


def backup_while_it_loads(home: Path, url: str, folder: Path) -> None:
    """Load all waiting beacons after the first half of the backup is made."""
    fill(home, url, 30, 40)
    engine, spool = Engine(settings(home, url), Home(home)), Spool(home / "spool.sqlite")

    def then_load(copy: Any) -> Any:
        def copying(*arguments: Any) -> Any:
            yield from copy(*arguments)
            while spool.stats().beacons:
                Loader(spool, engine).step()

        return copying

    made._home_files, made._tables = then_load(made._home_files), then_load(made._tables)
    made._source = lambda *_: nullcontext(export.EngineTables(engine))  # type: ignore[assignment]
    made.backup(settings(home, url), Home(home), folder, lambda done, total: None, tables=True, with_secret=True)
    assert spool.stats().beacons == 0


@pytest.mark.parametrize("kind", ENGINES)
def test_what_is_loaded_while_the_backup_is_made_counts_once(kind: str, tmp_path: Path) -> None:
    """Beacons that are loaded between the two copies are in both, and count once."""
    url, other_url = clickhouse_url(kind), clickhouse_url(kind)
    assert in_a_process(backup_while_it_loads, tmp_path / "home", url, tmp_path / "backup") == 0
    assert in_a_process(restore_load_and_count, tmp_path / "new", other_url, tmp_path / "backup") == 0
