"""The content of the spool, and the progress of its loader."""

import uuid
from dataclasses import dataclass

from collector.spool.database import Database


@dataclass(frozen=True)
class Stats:
    """Counts of beacons, sealed batches and quarantined rows. `oldest` is the first time of receipt (epoch seconds)."""

    beacons: int
    oldest: int | None
    last: int
    sealed: int
    quarantined: int


@dataclass(frozen=True)
class Loading:
    """The progress of the loader. Times are epoch seconds.

    `loaded` counts the beacons loaded since the spool was created. The aggregates hold all beacons received up to
    `fresh_to` (None before the first load). `since` is when loading began to fail (None while it works), `why` is the
    reason. `written` is when the loader last reported its progress to ClickHouse.
    """

    loaded: int
    fresh_to: float | None
    since: float | None
    why: str
    written: float


class Progress(Database):
    """Reads the content of a spool, and reads and records the progress of its loader."""

    def loader_id(self) -> str:
        """Return the id under which this spool's loader reports its progress. It is the same after each start."""
        with self.transaction():
            self.db.execute("INSERT OR IGNORE INTO identity VALUES (1, ?)", (str(uuid.uuid4()),))
            return str(self.db.execute("SELECT loader FROM identity").fetchone()[0])

    def stats(self) -> Stats:
        """Return the content of the spool.

        Beacons leave in the order of their numbers, so the first and the last number give their count. Counting the
        rows would read them all: gigabytes after hours without ClickHouse.
        """
        first, last = self.db.execute(
            "SELECT (SELECT min(seq) FROM beacons), (SELECT max(seq) FROM beacons)"
        ).fetchone()
        sealed = self.db.execute("SELECT count(*) FROM batches").fetchone()[0]
        quarantined = self.db.execute("SELECT count(*) FROM quarantine").fetchone()[0]
        return Stats(last - first + 1 if last else 0, self.oldest(), last or 0, sealed, quarantined)

    def oldest(self) -> int | None:
        """Return the time of receipt of the oldest beacon (epoch seconds), or None."""
        found = self.db.execute("SELECT received FROM beacons ORDER BY seq LIMIT 1").fetchone()
        return None if found is None else int(found[0])

    def loading(self) -> Loading:
        """Return the progress of the loader."""
        loaded, fresh_to, since, why, written = self.db.execute(
            "SELECT loaded, fresh_to, since, why, written FROM loading"
        ).fetchone()
        return Loading(loaded, fresh_to, since, why or "", written)

    def note_fresh(self, fresh_to: float) -> None:
        """Record the time up to which the aggregates are complete, and that the loader can load."""
        with self.transaction():
            self.db.execute("UPDATE loading SET fresh_to = ?, since = NULL, why = NULL", (fresh_to,))

    def note_written(self, now: float) -> None:
        """Record when the loader last reported its progress to ClickHouse."""
        with self.transaction():
            self.db.execute("UPDATE loading SET written = ?", (now,))

    def note_trouble(self, now: float, why: str) -> None:
        """Record that the loader cannot load. `since` stays the time of the first failure."""
        with self.transaction():
            self.db.execute("UPDATE loading SET since = coalesce(since, ?), why = ?", (now, why))

    def unreadable(self) -> int:
        """Return how many installs had license reports that the last pass over all installs could not read."""
        return int(self.db.execute("SELECT unreadable FROM loading").fetchone()[0])

    def note_unreadable(self, installs: int) -> None:
        """Record how many installs have license reports that cannot be read."""
        with self.transaction():
            self.db.execute("UPDATE loading SET unreadable = ?", (installs,))

    def judging_since(self) -> float | None:
        """Return since when judging licenses fails (epoch seconds), None while it works."""
        (since,) = self.db.execute("SELECT judging_since FROM loading").fetchone()
        return None if since is None else float(since)

    def note_judging(self, since: float | None) -> None:
        """Record since when judging licenses fails, or None: it works."""
        with self.transaction():
            self.db.execute("UPDATE loading SET judging_since = ?", (since,))

    def last(self) -> int:
        """Return the number of the newest beacon ever stored."""
        row = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'beacons'").fetchone()
        return int(row[0]) if row else 0

    def loaded_up_to(self, last: int) -> bool:
        """Whether all beacons up to number `last` are in ClickHouse."""
        return self.db.execute("SELECT 1 FROM beacons WHERE seq <= ? LIMIT 1", (last,)).fetchone() is None
