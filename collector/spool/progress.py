"""What lies in the spool, and how its loader gets on."""

import uuid
from dataclasses import dataclass

from collector.spool.database import Database


@dataclass(frozen=True)
class Stats:
    """What lies in the spool: beacons, the oldest one's time of receipt (epoch seconds), sealed batches, quarantine."""

    beacons: int
    oldest: int | None
    last: int
    sealed: int
    quarantined: int


@dataclass(frozen=True)
class Loading:
    """How the loader gets on; times are epoch seconds, None for not yet.

    `loaded` beacons since the spool was made; all that was taken up to `fresh_to` is in the aggregates; `since` when
    it cannot load, None while it can, and `why`; `written` when it last told ClickHouse of that.
    """

    loaded: int
    fresh_to: float | None
    since: float | None
    why: str
    written: float


class Progress(Database):
    """Figures of a spool and notes of its loader."""

    def loader_id(self) -> str:
        """The id under which this spool's loader tells how far it is; the same after each start."""
        with self.transaction():
            self.db.execute("INSERT OR IGNORE INTO identity VALUES (1, ?)", (str(uuid.uuid4()),))
            return str(self.db.execute("SELECT loader FROM identity").fetchone()[0])

    def stats(self) -> Stats:
        """What lies in the spool now.

        Beacons leave in the order of their numbers, so first and last tell how many there are; counting them would
        read them all, which after hours without ClickHouse are gigabytes.
        """
        first, last = self.db.execute(
            "SELECT (SELECT min(seq) FROM beacons), (SELECT max(seq) FROM beacons)"
        ).fetchone()
        oldest = None
        if first is not None:
            (oldest,) = self.db.execute("SELECT received FROM beacons WHERE seq = ?", (first,)).fetchone()
        sealed = self.db.execute("SELECT count(*) FROM batches").fetchone()[0]
        quarantined = self.db.execute("SELECT count(*) FROM quarantine").fetchone()[0]
        return Stats(last - first + 1 if last else 0, oldest, last or 0, sealed, quarantined)

    def loading(self) -> Loading:
        """How the loader gets on."""
        loaded, fresh_to, since, why, written = self.db.execute(
            "SELECT loaded, fresh_to, since, why, written FROM loading"
        ).fetchone()
        return Loading(loaded, fresh_to, since, why or "", written)

    def note_fresh(self, fresh_to: float) -> None:
        """Note up to when the aggregates hold all, and that the loader can load."""
        with self.transaction():
            self.db.execute("UPDATE loading SET fresh_to = ?, since = NULL, why = NULL", (fresh_to,))

    def note_written(self, now: float) -> None:
        """Note when ClickHouse was last told how the loader gets on."""
        with self.transaction():
            self.db.execute("UPDATE loading SET written = ?", (now,))

    def note_trouble(self, now: float, why: str) -> None:
        """Note that the loader cannot load; `since` stays that of the first time."""
        with self.transaction():
            self.db.execute("UPDATE loading SET since = coalesce(since, ?), why = ?", (now, why))

    def last(self) -> int:
        """The number of the newest beacon that was ever stored."""
        row = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'beacons'").fetchone()
        return int(row[0]) if row else 0

    def loaded_up_to(self, last: int) -> bool:
        """Whether all beacons up to number `last` are in ClickHouse."""
        return self.db.execute("SELECT 1 FROM beacons WHERE seq <= ? LIMIT 1", (last,)).fetchone() is None
