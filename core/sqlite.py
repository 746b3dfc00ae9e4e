"""Open a SQLite file to read it, and leave the folder as it was."""

import sqlite3
from pathlib import Path

_WAL_FORMAT = 2  # the read version, byte 19 of the header


def read_only(path: Path, seconds: float) -> sqlite3.Connection:
    """A connection that only reads; it waits `seconds` for a lock. Raises `sqlite3.Error` and `OSError`."""
    with path.open("rb") as file:
        uses_log = file.read(20)[19:] == bytes([_WAL_FORMAT])
    # A reader of a file with a write-ahead log makes the log where there is none. Nobody has the file open then, so
    # that it can be read as one that never changes.
    at_rest = uses_log and not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}"
    return sqlite3.connect(uri, uri=True, timeout=seconds, isolation_level=None)
