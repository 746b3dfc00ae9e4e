"""The beacons of development keys that wait in the spool. They are in no plane's batch."""

from collections.abc import Sequence

from collector.spool.database import Database

# Only the latest are ever shown, so a key that posts without end does not fill the disk.
MOST = 1000


class Development(Database):
    """Stores and hands out what was posted with development keys, as JSON lines for ClickHouse."""

    def store_development(self, rows: Sequence[bytes]) -> None:
        """Store rows on disk, and keep the newest `MOST`. Raises `Unavailable`."""
        with self.transaction():
            self.db.executemany("INSERT INTO development (row) VALUES (?)", [(row,) for row in rows])
            self.db.execute("DELETE FROM development WHERE seq <= (SELECT max(seq) FROM development) - ?", (MOST,))

    def development(self) -> list[tuple[int, bytes]]:
        """Return the rows that wait, oldest first, each with its number."""
        return [(number, row) for number, row in self.db.execute("SELECT seq, row FROM development ORDER BY seq")]

    def delete_development(self, last: int) -> None:
        """Delete the rows up to a number: ClickHouse has them."""
        with self.transaction():
            self.db.execute("DELETE FROM development WHERE seq <= ?", (last,))
