"""The output of the spool: sealed batches of beacons, and their progress in each plane."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from collector.spool.beacons import PLANES, Plane
from collector.spool.database import Database

# ClickHouse writes one part for each month of a batch in each table, and rejects a batch with too many months.
MOST_MONTHS = 100
# The start of the first row that a beacon has. It contains the date.
_HEADS = """
SELECT seq, substr(coalesce(nullif(usage, x''), nullif(sealed, x''), license), 1, 128) FROM beacons
ORDER BY seq LIMIT ?
"""
_MONTH = re.compile(rb'"(?:day|time)":"(\d{4}-\d{2})')


@dataclass(frozen=True)
class Batch:
    """A sealed batch: the beacons `first` to `last`, and its id in each plane (None once that plane has it)."""

    first: int
    last: int
    usage: str | None
    license: str | None
    sealed: str | None = None

    def id(self, plane: Plane) -> str | None:
        """Return the batch's id in `plane`; None when the plane already has the batch."""
        id: str | None = getattr(self, plane)
        return id


class Batches(Database):
    """Seals, reads and deletes batches."""

    def seal(self, most: int) -> Batch | None:
        """Return the next batch to load: the oldest sealed batch, or else a new one; None if no beacon is left to seal.

        A new batch holds at most `most` beacons, from at most `MOST_MONTHS` months.
        """
        if batch := self._oldest_batch():
            return batch
        # Read before taking the lock: only the loader, which calls this, removes beacons.
        heads = self.db.execute(_HEADS, (most,))
        numbers = _within_months(heads, MOST_MONTHS)
        if not numbers:
            return None
        batch = Batch(numbers[0], numbers[-1], *(str(uuid.uuid4()) for _ in PLANES))
        with self.transaction():
            self._add_batch(batch)
        return batch

    def _oldest_batch(self) -> Batch | None:
        row = self.db.execute(
            "SELECT first, last, usage, license, sealed FROM batches ORDER BY first LIMIT 1"
        ).fetchone()
        return Batch(*row) if row else None

    def _add_batch(self, batch: Batch) -> None:
        self.db.execute(
            "INSERT INTO batches (first, last, usage, license, sealed) VALUES (?, ?, ?, ?, ?)",
            (batch.first, batch.last, batch.usage, batch.license, batch.sealed),
        )

    def rows(self, batch: Batch, plane: Plane) -> list[bytes]:
        """Return the JSON lines of a batch in one plane, sorted, so that their order depends on this plane alone."""
        found = self.db.execute(
            f"SELECT {plane} FROM beacons WHERE seq BETWEEN ? AND ?",  # noqa: S608
            (batch.first, batch.last),
        )
        return sorted(row for (row,) in found if row)  # a row that was in quarantine returns in one plane only

    def loaded(self, batch: Batch, plane: Plane) -> Batch:
        """Record that a plane has the batch; returns the updated batch."""
        with self.transaction():
            self.db.execute(f"UPDATE batches SET {plane} = NULL WHERE first = ?", (batch.first,))  # noqa: S608
        changes: dict[str, Any] = {plane: None}
        return replace(batch, **changes)

    def delete(self, batch: Batch) -> None:
        """Delete a batch that both planes have, and its beacons."""
        span = (batch.first, batch.last)
        with self.transaction():
            loaded = self.db.execute("DELETE FROM beacons WHERE seq BETWEEN ? AND ?", span).rowcount
            self.db.execute("DELETE FROM batches WHERE first = ?", (batch.first,))
            self.db.execute("UPDATE loading SET loaded = loaded + ?", (loaded,))

    def split(self, batch: Batch) -> None:
        """Split a batch into two with new ids. The planes it still has to reach must hold none of its rows."""
        middle = (batch.first + batch.last) // 2
        ids = [[batch.id(plane) and str(uuid.uuid4()) for plane in PLANES] for _ in range(2)]
        with self.transaction():
            self.db.execute("DELETE FROM batches WHERE first = ?", (batch.first,))
            self._add_batch(Batch(batch.first, middle, *ids[0]))
            self._add_batch(Batch(middle + 1, batch.last, *ids[1]))

    def renumber(self) -> None:
        """Give every sealed batch new ids in the planes that do not have it yet. Use it on a copy of a spool.

        The copied tables may hold rows that the original spool inserted under the old ids. With new ids, the loader
        sees them as rows of another batch and skips them.
        """
        with self.transaction():
            for first, *ids in self.db.execute("SELECT first, usage, license, sealed FROM batches").fetchall():
                new = [id and str(uuid.uuid4()) for id in ids]
                self.db.execute("UPDATE batches SET usage = ?, license = ?, sealed = ? WHERE first = ?", (*new, first))


def _within_months(heads: Iterable[tuple[int, bytes]], most: int) -> list[int]:
    """Return the numbers of the first beacons that together span at most `most` months."""
    months = set()
    numbers = []
    for number, head in heads:
        months.add(found[1] if (found := _MONTH.search(head)) else b"")
        if len(months) > most:
            break
        numbers.append(number)
    return numbers
