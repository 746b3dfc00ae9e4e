"""The quarantine: rows that ClickHouse rejected because of their content, kept for an operator to review."""

from dataclasses import dataclass

from collector.spool.batches import Batch
from collector.spool.beacons import Beacons, Plane, Row


@dataclass(frozen=True)
class Quarantined:
    """A row that ClickHouse rejected: its plane, its time of receipt (epoch seconds) and the error of ClickHouse."""

    id: int
    plane: Plane
    received: int
    error: str


class Quarantine(Beacons):
    """Adds, lists, retries and deletes quarantined rows."""

    def quarantine(self, batch: Batch, plane: Plane, error: str) -> None:
        """Move the only row of a batch to quarantine. The other plane still gets its row."""
        with self.transaction():
            self.db.execute(
                f"INSERT INTO quarantine (plane, received, row, error) "  # noqa: S608
                f"SELECT ?, received, {plane}, ? FROM beacons WHERE seq = ?",
                (plane, error, batch.first),
            )
            self.db.execute(f"UPDATE batches SET {plane} = NULL WHERE first = ?", (batch.first,))  # noqa: S608

    def quarantined(self) -> list[Quarantined]:
        """Return the quarantined rows, oldest first, without their content."""
        found = self.db.execute("SELECT id, plane, received, error FROM quarantine ORDER BY id")
        return [Quarantined(*row) for row in found]

    def retry_quarantined(self, id: int) -> bool:
        """Return a row to the spool for the loader. Returns False if no row has this id."""
        with self.transaction():
            row = self.db.execute("SELECT plane, received, row FROM quarantine WHERE id = ?", (id,)).fetchone()
            if row is None:
                return False
            plane, received, content = row
            self._put_back(Row(b"", **{"usage": b"", "license": b"", plane: content}), received)
            self.db.execute("DELETE FROM quarantine WHERE id = ?", (id,))
        return True

    def drop_quarantined(self, id: int) -> bool:
        """Delete a quarantined row permanently. Returns False if no row has this id."""
        with self.transaction():
            return self.db.execute("DELETE FROM quarantine WHERE id = ?", (id,)).rowcount > 0
