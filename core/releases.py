"""The releases that build servers report: which version of a module appeared on which day. Kept in the home."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from core.sqlite import opened

CACHE_SECONDS = 1.0
LOCK_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (
    module TEXT NOT NULL, version TEXT NOT NULL, released TEXT NOT NULL, PRIMARY KEY (module, version)
);
"""


@dataclass(frozen=True)
class Release:
    """A version of a module, and the day (UTC) on which it was released."""

    module: str
    version: str
    released: date


class Releases:
    """The reported releases. Each call opens the file; `reported` remembers its answer for a second."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._until = float("-inf")
        self._reported: dict[str, dict[str, date]] = {}

    def report(self, releases: Iterable[Release]) -> None:
        """Store releases. The last report of a version counts. Raises `sqlite3.Error` and `OSError`."""
        rows = [(each.module, each.version, each.released.isoformat()) for each in releases]
        with opened(self._path, _SCHEMA, LOCK_SECONDS) as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR REPLACE INTO releases VALUES (?, ?, ?)", rows)
            db.execute("COMMIT")
        self._until = float("-inf")

    def reported(self) -> Mapping[str, Mapping[str, date]]:
        """Return the days of release, by module and version. Raises `sqlite3.Error` and `OSError`."""
        if self._clock() >= self._until:
            found: dict[str, dict[str, date]] = {}
            if self._path.exists():
                with opened(self._path, _SCHEMA, LOCK_SECONDS) as db:
                    for module, version, released in db.execute("SELECT module, version, released FROM releases"):
                        found.setdefault(module, {})[version] = date.fromisoformat(released)
            self._reported, self._until = found, self._clock() + CACHE_SECONDS
        return self._reported
