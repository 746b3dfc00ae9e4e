"""The rows of the license registry that wait in the spool. They are in no plane's batch, and keep their order."""

from collections.abc import Sequence

import msgspec

from collector.spool.database import Database
from warehouse.licensing.registry import Row


class Licenses(Database):
    """Stores and hands out registry rows, as JSON lines for ClickHouse."""

    def store_licenses(self, rows: Sequence[bytes]) -> None:
        """Store rows on disk, in their order. Raises `Unavailable`."""
        with self.transaction():
            self.db.executemany("INSERT INTO licenses (row) VALUES (?)", [(row,) for row in rows])

    def licenses(self, most: int) -> list[tuple[int, bytes]]:
        """Return the oldest rows, at most `most`, each with its number."""
        found = self.db.execute("SELECT seq, row FROM licenses ORDER BY seq LIMIT ?", (most,))
        return [(number, row) for number, row in found]

    def waiting_licenses(self) -> list[Row]:
        """Return all rows that wait, oldest first."""
        return [msgspec.json.decode(row, type=Row) for _, row in self.licenses(-1)]

    def delete_licenses(self, last: int) -> None:
        """Delete the rows up to a number: ClickHouse has them."""
        with self.transaction():
            self.db.execute("DELETE FROM licenses WHERE seq <= ?", (last,))
