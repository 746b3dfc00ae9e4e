"""`pharos import`: old beacons from files, validated like posted ones, each stored once."""

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.collector.sample import beacon
from tests.pharos_cli.command import pharos


def ndjson(*beacons: Any) -> bytes:
    return b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in beacons)


def last(text: str) -> str:
    return text.splitlines()[-1]


def days(home: Path) -> list[str]:
    with sqlite3.connect(home / "spool.sqlite") as db:
        found = [json.loads(usage)["day"] for (usage,) in db.execute("SELECT usage FROM beacons ORDER BY seq")]
    db.close()
    return found


def test_a_file_is_imported(tmp_path: Path) -> None:
    """Valid lines are stored with their dates, invalid ones go to stderr with their numbers.

    The last line has the counts.
    """
    old = beacon({"sent_at": "2019-03-31T23:30:00-02:00"})
    lines = ndjson(
        old, b"not json", beacon({"sent_at": "2024-02-29T12:00:00Z"}), b"", old, beacon({"email": "jane@x.y"})
    )
    (tmp_path / "old.ndjson").write_bytes(lines)
    done = pharos(tmp_path / "home", "import", str(tmp_path / "old.ndjson"))
    assert done.returncode == 0
    assert last(done.stdout) == "imported=2 duplicates=1 rejected=2"
    assert days(tmp_path / "home") == ["2019-04-01", "2024-02-29"]
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [
        [f"{tmp_path}/old.ndjson:2", "malformed_json"],
        [f"{tmp_path}/old.ndjson:6", "unknown_field email"],
    ]
    assert "jane" not in done.stderr


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    """A second import of a file has only duplicates."""
    (tmp_path / "old.ndjson").write_bytes(ndjson(*(beacon() for _ in range(600))))
    first, second = (pharos(tmp_path / "home", "import", str(tmp_path / "old.ndjson")) for _ in range(2))
    assert last(first.stdout) == "imported=600 duplicates=0 rejected=0"
    assert last(second.stdout) == "imported=0 duplicates=600 rejected=0"
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(days(tmp_path / "home")) == 600


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read(tmp_path: Path, pack: Any) -> None:
    """`-` reads standard input, plain or gzip."""
    done = pharos(tmp_path / "home", "import", "-", given=pack(ndjson(beacon(), b"[]")))
    assert last(done.stdout) == "imported=1 duplicates=0 rejected=1"
    assert done.stderr.startswith("-:2: wrong_type")


def test_several_files_are_counted_together(tmp_path: Path) -> None:
    """Several files, plain or gzip, share the counts. Each has its own line numbers."""
    one, two = beacon(), beacon()
    (tmp_path / "a.ndjson").write_bytes(ndjson(one).rstrip(b"\n"))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(ndjson(b"1", two)) + gzip.compress(ndjson(one)))
    done = pharos(tmp_path / "home", "import", str(tmp_path / "a.ndjson"), str(tmp_path / "b.ndjson.gz"))
    assert last(done.stdout) == "imported=2 duplicates=1 rejected=1"
    assert done.stderr.startswith(f"{tmp_path}/b.ndjson.gz:1: wrong_type")


def test_a_line_of_any_length_is_rejected_alone(tmp_path: Path) -> None:
    """A too long line is one rejection and does not change later line numbers."""
    given = ndjson(beacon(), b'"' + b"x" * (5 << 20) + b'"', b"[", beacon())
    done = pharos(tmp_path / "home", "import", "-", given=given)
    assert last(done.stdout) == "imported=2 duplicates=0 rejected=2"
    assert [line.split(":")[1:3] for line in done.stderr.splitlines()] == [
        ["2", " body_too_large"],
        ["3", " malformed_json"],
    ]


@pytest.mark.parametrize("sent_at", ["1970-12-31T23:59:59Z", "2105-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_a_date_that_cannot_be_stored_is_rejected(tmp_path: Path, sent_at: str) -> None:
    """Dates outside the range of the database are rejected and never changed."""
    done = pharos(tmp_path / "home", "import", "-", given=ndjson(beacon({"sent_at": sent_at})))
    assert last(done.stdout) == "imported=0 duplicates=0 rejected=1"
    assert done.stderr.startswith("-:1: out_of_range sent_at")


def test_nothing_is_nothing(tmp_path: Path) -> None:
    """An empty file imports nothing and is no error."""
    done = pharos(tmp_path / "home", "import", "-")
    assert (done.returncode, done.stdout) == (0, "imported=0 duplicates=0 rejected=0\n")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file, a folder and a truncated gzip exit with status 1 and one line. Lines read before are stored."""
    (tmp_path / "good.ndjson").write_bytes(ndjson(beacon()))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(ndjson(beacon()))[:-9])
    for name, imported in (("missing.ndjson", 1), ("", 1), ("cut.gz", 2)):
        done = pharos(tmp_path / f"home{name}", "import", str(tmp_path / "good.ndjson"), str(tmp_path / name))
        assert done.returncode == 1
        assert last(done.stdout) == f"imported={imported} duplicates=0 rejected=0"
        assert str(tmp_path / name) in last(done.stderr)
        assert "Traceback" not in done.stderr


def test_a_byte_order_mark_is_no_part_of_a_line(tmp_path: Path) -> None:
    """A byte order mark is skipped at the start of a file or line."""
    mark = b"\xef\xbb\xbf"
    lines = mark + ndjson(beacon()) + mark + ndjson(beacon()) + mark + b"\n"
    done = pharos(tmp_path / "home", "import", "-", given=lines)
    assert (done.returncode, last(done.stdout)) == (0, "imported=2 duplicates=0 rejected=0"), done.stderr
