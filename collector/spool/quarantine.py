"""Rows that ClickHouse refused for what they hold, set aside for a person to look at."""

from dataclasses import dataclass, replace

from collector.spool.batches import Batch
from collector.spool.beacons import Beacons, Plane, Row


@dataclass(frozen=True)
class Quarantined:
    """A row that ClickHouse refused: its plane, time of receipt (epoch seconds) and what ClickHouse said."""

    id: int
    plane: Plane
    received: int
    error: str


class Quarantine(Beacons):
    """The rows that were set aside."""

    def quarantine(self, batch: Batch, plane: Plane, error: str) -> None:
        """Put the one row of a batch aside for a person to look at; the other plane still gets its row."""
        with self.transaction():
            self.db.execute(
                f"INSERT INTO quarantine (plane, received, row, error) "  # noqa: S608
                f"SELECT ?, received, {plane}, ? FROM beacons WHERE seq = ?",
                (plane, error, batch.first),
            )
            self.db.execute(f"UPDATE batches SET {plane} = NULL WHERE first = ?", (batch.first,))  # noqa: S608

    def quarantined(self) -> list[Quarantined]:
        """The rows that were set aside, oldest first, without what they hold."""
        found = self.db.execute("SELECT id, plane, received, error FROM quarantine ORDER BY id")
        return [Quarantined(*row) for row in found]

    def retry_quarantined(self, id: int) -> bool:
        """Put a row back for the loader; False when there is none of that id."""
        with self.transaction():
            row = self.db.execute("SELECT plane, received, row FROM quarantine WHERE id = ?", (id,)).fetchone()
            if row is None:
                return False
            plane, received, content = row
            self._put_back(replace(Row(b"", b"", b""), **{plane: content}), received)
            self.db.execute("DELETE FROM quarantine WHERE id = ?", (id,))
        return True

    def drop_quarantined(self, id: int) -> bool:
        """Delete a row that was set aside, for good; False when there is none of that id."""
        with self.transaction():
            return self.db.execute("DELETE FROM quarantine WHERE id = ?", (id,)).rowcount > 0
