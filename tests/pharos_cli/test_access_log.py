"""`pharos access`: who read the license plane."""

import sqlite3
from pathlib import Path

from core.access_log import AccessLog
from core.home import Home, derive
from core.settings import Settings
from tests.pharos_cli.command import pharos


def looked(folder: Path) -> Home:
    """A home with three entries in its access log."""
    home = Home(folder / "home")
    log = AccessLog(home.access_log, derive(home.root_secret(Settings()), "access log"))
    log.record("lisa", "licensing", "page", {"status": "expired"}, 3)
    log.record("token 01ab", "licensing", "api installs", {"module": "invoice_pro", "limit": "7"}, 7)
    log.record("lisa", "licensing", "csv", {"status": "expired"}, 3)
    return home


def test_looks_are_listed_newest_first(tmp_path: Path) -> None:
    """Each line has number, user, source, number of rows and question. `--who` filters by user."""
    home = looked(tmp_path)
    lines = pharos(home.path, "access", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert lines[1].endswith("token 01ab  licensing  api installs  7 rows  limit=7 module=invoice_pro")
    assert pharos(home.path, "access", "list", "--who", "lisa", "--most", "1").stdout.splitlines() == lines[:1]


def test_a_log_as_it_was_written_is_said_to_be(tmp_path: Path) -> None:
    """An unchanged or empty log has exit status 0."""
    assert pharos(looked(tmp_path).path, "access", "verify").returncode == 0
    (tmp_path / "new").mkdir()
    assert pharos(tmp_path / "new", "access", "verify").returncode == 0


def test_a_log_that_was_changed_is_found_out(tmp_path: Path) -> None:
    """For a changed log the entry is named and the exit status is 1."""
    home = looked(tmp_path)
    db = sqlite3.connect(home.access_log)
    db.executescript("DROP TRIGGER looks_stay_as_they_are; UPDATE looks SET who = 'nobody' WHERE id = 2")
    db.close()
    done = pharos(home.path, "access", "verify")
    assert done.returncode == 1
    assert "entry 2 was changed" in done.stderr
