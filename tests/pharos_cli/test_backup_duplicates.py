"""Duplicate ids in a backup: what was accepted before the backup is a duplicate after the restore."""

import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from collector.compaction import Compactor
from collector.spool import Spool
from core.home import Home
from pharos.backup import backup
from pharos.manifest import BackupError
from pharos.restore import restore
from tests.collector.remembered import remembered, segments, small
from tests.collector.rows import rows
from tests.pharos_cli.command import pharos
from tests.pharos_cli.homes import settings

NOON = 1_795_348_800.0


def nobody(done: int, total: int) -> None:
    """Ignore the progress."""


def home_with(path: Path, *numbers: int) -> Home:
    """Create a home with a root secret and these beacons, whose ids are filed."""
    home = Home(path)
    home.root_secret(settings(path))
    with closing(Spool(home.spool)) as spool, small():
        spool.store(rows(*numbers), NOON)
        compactor = Compactor(spool)
        while compactor.step():
            pass
        assert segments(spool)
    return home


def test_filed_ids_are_in_a_backup_for_us_alone(tmp_path: Path) -> None:
    """A backup contains the segment files in folders of mode 0700, and a restore brings them back."""
    home = home_with(tmp_path / "home", *range(20))
    made = backup(settings(home.path), home, tmp_path / "backup", nobody, tables=False, with_secret=True)
    assert sum(file.name.startswith("spool.duplicates/") for file in made.files) == 2
    restore(settings(tmp_path / "new"), tmp_path / "backup", nobody)
    for folder in (tmp_path / "backup" / "spool.duplicates", tmp_path / "new" / "spool.duplicates"):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600, 0o600]
    with closing(Spool(tmp_path / "new" / "spool.sqlite")) as spool:
        assert spool.store(rows(*range(21)), NOON) == [False] * 20 + [True]
    assert "ok   duplicates" in pharos(tmp_path / "new", "doctor").stdout


def test_a_damaged_file_of_ids_is_refused(tmp_path: Path) -> None:
    """A flipped bit in a segment file is detected."""
    home = home_with(tmp_path / "home", *range(20))
    backup(settings(home.path), home, tmp_path / "backup", nobody, tables=False, with_secret=True)
    (path,) = (tmp_path / "backup" / "spool.duplicates").glob("*.ids")
    content = bytearray(path.read_bytes())
    content[77] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackupError, match=r"\.ids is damaged"):
        restore(settings(tmp_path / "new"), tmp_path / "backup", nobody)


def test_ids_that_move_while_a_backup_is_made_are_in_it(tmp_path: Path) -> None:
    """Backups made during compaction contain all ids that were stored before."""
    home = home_with(tmp_path / "home", *range(20))
    stop, stored = threading.Event(), [*range(20)]

    def work() -> None:
        with closing(Spool(home.spool)) as spool:
            compactor = Compactor(spool)
            for first in count(100, 5):
                spool.store(rows(*range(first, first + 5)), NOON)
                stored.extend(range(first, first + 5))
                compactor.step()
                if stop.is_set():
                    return

    with small():
        worker = threading.Thread(target=work)
        worker.start()
        known: list[list[int]] = []
        try:
            for number in range(8):
                known.append([*stored])
                backup(settings(home.path), home, tmp_path / f"backup {number}", nobody, tables=False, with_secret=True)
        finally:
            stop.set()
            worker.join()
    for number, before in enumerate(known):
        restore(settings(tmp_path / f"new {number}"), tmp_path / f"backup {number}", nobody)
        with closing(Spool(tmp_path / f"new {number}" / "spool.sqlite")) as spool:
            assert {row.seen for row in rows(*before)} <= set(remembered(spool))


def test_a_missing_file_of_ids_fails_the_doctor(tmp_path: Path) -> None:
    """Doctor names a missing segment file."""
    home = home_with(tmp_path / "home", *range(20))
    for path in (home.path / "spool.duplicates").glob("*.filter"):
        path.unlink()
    told = pharos(home.path, "doctor").stdout
    assert "FAIL duplicates" in told
    assert ".filter" in told
