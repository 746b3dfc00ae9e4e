"""Open SQLite files: for reading without changing the folder, and small ones of our own."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WAL_FORMAT = 2  # the read version, byte 19 of the header


def read_only(path: Path, seconds: float) -> sqlite3.Connection:
    """Return a read-only connection that waits `seconds` for a lock. Raises `sqlite3.Error` and `OSError`."""
    with path.open("rb") as file:
        uses_log = file.read(20)[19:] == bytes([_WAL_FORMAT])
    # A reader of a file in WAL mode creates a missing write-ahead log. If the log is missing, no process has the file
    # open, so it can be read as immutable.
    at_rest = uses_log and not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}"
    return sqlite3.connect(uri, uri=True, timeout=seconds, isolation_level=None)


@contextmanager
def opened(path: Path, schema: str, seconds: float) -> Iterator[sqlite3.Connection]:
    """Open a small file for one call, and create it with `schema` (mode 0600) if it is missing. Commits are durable."""
    path.touch(mode=0o600)
    db = sqlite3.connect(path, timeout=seconds, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = EXTRA")
        db.executescript(schema)
        yield db
    finally:
        db.close()
