"""How beacons leave the spool: in sealed batches, of which the loader notes how far they are."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from collector.spool.beacons import PLANES, Plane
from collector.spool.database import Database

# ClickHouse writes a file for each month of a batch, in each table, and refuses a batch of too many.
MOST_MONTHS = 100
# The beginning of whichever row a beacon has: its date is there.
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
        """The batch's id in `plane`: None when the plane has it already."""
        id: str | None = getattr(self, plane)
        return id


class Batches(Database):
    """The way out."""

    def seal(self, most: int) -> Batch | None:
        """The next batch to load: the oldest sealed one, else up to `most` beacons sealed now; None for none.

        A batch spans at most `MOST_MONTHS` months.
        """
        if batch := self._oldest_batch():
            return batch
        # Read before the lock: only the loader, which calls this, takes beacons away.
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
        """The JSON lines of a batch in one plane, in an order that only that plane's own content decides."""
        found = self.db.execute(
            f"SELECT {plane} FROM beacons WHERE seq BETWEEN ? AND ?",  # noqa: S608
            (batch.first, batch.last),
        )
        return sorted(row for (row,) in found if row)  # from quarantine a row comes back in one plane alone

    def loaded(self, batch: Batch, plane: Plane) -> Batch:
        """Note that a plane has the batch; returns the batch as it stands now."""
        with self.transaction():
            self.db.execute(f"UPDATE batches SET {plane} = NULL WHERE first = ?", (batch.first,))  # noqa: S608
        changes: dict[str, Any] = {plane: None}
        return replace(batch, **changes)

    def delete(self, batch: Batch) -> None:
        """Forget a batch that both planes have, and its beacons."""
        span = (batch.first, batch.last)
        with self.transaction():
            loaded = self.db.execute("DELETE FROM beacons WHERE seq BETWEEN ? AND ?", span).rowcount
            self.db.execute("DELETE FROM batches WHERE first = ?", (batch.first,))
            self.db.execute("UPDATE loading SET loaded = loaded + ?", (loaded,))

    def split(self, batch: Batch) -> None:
        """Cut a batch in two with new ids; no row of it is in the planes that it still names."""
        middle = (batch.first + batch.last) // 2
        ids = [[batch.id(plane) and str(uuid.uuid4()) for plane in PLANES] for _ in range(2)]
        with self.transaction():
            self.db.execute("DELETE FROM batches WHERE first = ?", (batch.first,))
            self._add_batch(Batch(batch.first, middle, *ids[0]))
            self._add_batch(Batch(middle + 1, batch.last, *ids[1]))

    def renumber(self) -> None:
        """Give every sealed batch new ids, in the planes that do not have it yet: this file is a copy of another's.

        What the old ids brought since, the copied tables hold as the work of another batch: the loader leaves it out.
        """
        with self.transaction():
            for first, *ids in self.db.execute("SELECT first, usage, license, sealed FROM batches").fetchall():
                new = [id and str(uuid.uuid4()) for id in ids]
                self.db.execute("UPDATE batches SET usage = ?, license = ?, sealed = ? WHERE first = ?", (*new, first))


def _within_months(heads: Iterable[tuple[int, bytes]], most: int) -> list[int]:
    """The numbers of the first beacons that are of at most so many months together."""
    months = set()
    numbers = []
    for number, head in heads:
        months.add(found[1] if (found := _MONTH.search(head)) else b"")
        if len(months) > most:
            break
        numbers.append(number)
    return numbers
