"""Open a SQLite file for reading, without changing its folder."""

import sqlite3
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
