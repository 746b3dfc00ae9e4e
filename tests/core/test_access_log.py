"""The access log is append-only, and a changed entry is detected."""

import sqlite3
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import access_log
from core.access_log import KEPT_DAYS, AccessLog, AccessLogError

KEY = b"key of the tests"


@pytest.fixture
def log(tmp_path: Path) -> AccessLog:
    return AccessLog(tmp_path / "access.sqlite", KEY)


def five(log: AccessLog) -> None:
    for rows in range(1, 6):
        log.record("lisa", "licensing", "page", {"module": "invoice_pro"}, rows)


def test_an_entry_says_who_when_what_and_how_many(log: AccessLog) -> None:
    """An entry has user, time, question and number of rows. Entries are listed newest first."""
    began = int(time.time())
    log.record("lisa", "licensing", "page", {"status": "!licensed"}, 3)
    log.record("token 01ab", "admin", "api flags", {}, 4)
    first, second = log.entries(10)
    assert (first.id, first.who, first.role, first.what, first.question, first.rows) == (
        2, "token 01ab", "admin", "api flags", {}, 4,
    )  # fmt: skip
    assert second.question == {"status": "!licensed"}
    assert began <= second.time <= time.time()
    assert [look.id for look in log.entries(10, "lisa")] == [1]
    assert [look.id for look in log.entries(1)] == [2]
    assert stat.S_IMODE(log._path.stat().st_mode) == 0o600
    assert log.broken() == ""


@pytest.mark.parametrize(
    "statement", ["UPDATE looks SET who = 'nobody'", "DELETE FROM looks", "DELETE FROM looks WHERE id = 3"]
)
def test_our_own_code_can_only_append(log: AccessLog, statement: str) -> None:
    """The database itself rejects UPDATE and DELETE."""
    five(log)
    with pytest.raises(AccessLogError, match="append-only"), log._open() as db:
        db.execute(statement)
    assert len(log.entries(10)) == 5


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE looks SET who = 'nobody' WHERE id = 2", "entry 2 was changed"),
        ("UPDATE looks SET time = time - 1 WHERE id = 4", "entry 4 was changed"),
        ("UPDATE looks SET rows = 0 WHERE id = 5", "entry 5 was changed"),
        ("DELETE FROM looks WHERE id = 3", "entry 3 is missing"),
        ("DELETE FROM looks WHERE id = 1", "entry 1 is missing"),
        ("DELETE FROM looks WHERE id > 3", "entry 4 is missing"),
        ("DELETE FROM looks", "entry 1 is missing"),
        ("DELETE FROM looks WHERE id < 3; INSERT INTO forgotten SELECT 1, 2, 0, x'00', x'00'", "removed too early"),
    ],
)
def test_what_is_changed_past_our_code_shows(log: AccessLog, statement: str, said: str) -> None:
    """A change made without the triggers and the key is detected, also after later entries."""
    five(log)
    db = sqlite3.connect(log._path)
    db.executescript(f"DROP TRIGGER looks_stay; DROP TRIGGER looks_stay_as_they_are; {statement}")
    db.close()
    assert said in log.broken()
    log.record("lisa", "licensing", "page", {}, 6)
    assert said in log.broken()


def test_entries_go_after_13_months_and_none_before(log: AccessLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are deleted after 13 months. The rest is still valid, and a clock that was ahead stops nothing."""
    now = int(time.time())

    def at(days_ago: int) -> None:
        monkeypatch.setattr("time.time", lambda: now - days_ago * 86400)
        log.record("lisa", "licensing", "page", {}, days_ago)

    for days_ago in (KEPT_DAYS + 300, KEPT_DAYS + 2, KEPT_DAYS - 10, KEPT_DAYS + 1, 5):
        at(days_ago)
    assert len(log.entries(10)) == 5 - 1  # from the last one's time only the first is too old
    at(0)
    assert [look.rows for look in log.entries(10)] == [0, 5, KEPT_DAYS + 1, KEPT_DAYS - 10]
    assert log.broken() == ""
    monkeypatch.undo()
    five(log)
    assert log.broken() == ""


def test_looks_at_one_moment_are_all_there(log: AccessLog) -> None:
    """Entries of eight simultaneous threads are all in the log, and the chain is valid."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda rows: log.record("lisa", "licensing", "page", {}, rows), range(80)))
    assert sorted(look.rows for look in log.entries(100)) == list(range(80))
    assert log.broken() == ""


def _a_folder(path: Path) -> None:
    path.mkdir()


def _no_database(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("spoil", [_a_folder, _no_database])
def test_what_cannot_be_recorded_is_an_error(log: AccessLog, spoil: Callable[[Path], None]) -> None:
    """A failed write raises an error."""
    spoil(log._path)
    with pytest.raises(AccessLogError):
        log.record("lisa", "licensing", "page", {}, 1)


def test_a_full_disk_is_an_error(log: AccessLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the write raises SQLite's error and leaves no partial entry."""
    five(log)
    monkeypatch.setattr(access_log, "_SCHEMA", access_log._SCHEMA + "PRAGMA max_page_count = 1;")
    with pytest.raises(AccessLogError, match="full"):
        log.record("lisa", "licensing", "page", {f"{number}": "x" * 100 for number in range(100)}, 1)
    monkeypatch.undo()
    assert len(log.entries(10)) == 5
    assert log.broken() == ""
