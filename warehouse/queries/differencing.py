"""What the answers to one asker tell by subtraction, in mode `strict`. Pure but for its clock; bounded in memory.

Two counts of which one holds all installs of the other tell by their difference how many are in the one alone: a count
and the same with a filter more, or of fewer days. Where that is 1 to k - 1 and both were asked within a day, the later
one is withheld.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, combinations

KEPT_SECONDS = 86_400.0
# Of one asker, who is told no more figures than this within a day.
MOST_CELLS = 20_000
# A cell is noted under each part of its conditions; one with more of them is not told.
MOST_CONDITIONS = 8

Condition = tuple[str, str]  # a dimension and its value


@dataclass(frozen=True)
class Cell:
    """A count of the installs that meet all `conditions` on some day of a bucket, from `start` to `end`."""

    bucket: str
    start: date
    end: date
    conditions: frozenset[Condition]
    installs: int

    def within(self, other: "Cell") -> bool:
        """Whether all its days are days of the other."""
        return other.start <= self.start and self.end <= other.end


@dataclass
class _Told:
    """The cells that one asker was told within a day, by their own conditions and by each part of them."""

    since: float
    own: dict[frozenset[Condition], list[Cell]] = field(default_factory=dict)
    wider: dict[frozenset[Condition], list[Cell]] = field(default_factory=dict)
    cells: set[Cell] = field(default_factory=set)

    def tells(self, cell: Cell, k: int) -> bool:
        """Whether `cell` and another one that is known differ by 1 to k - 1 installs."""
        narrower = (other for other in self.wider.get(cell.conditions, ()) if other.within(cell))
        wider = (other for part in _parts(cell) for other in self.own.get(part, ()) if cell.within(other))
        return any(0 < abs(other.installs - cell.installs) < k for other in chain(narrower, wider))

    def note(self, cell: Cell) -> None:
        """Remember `cell`."""
        if cell in self.cells:
            return
        self.cells.add(cell)
        self.own.setdefault(cell.conditions, []).append(cell)
        for part in _parts(cell):
            self.wider.setdefault(part, []).append(cell)


class Differencing:
    """Withholds the buckets of an answer that would tell of fewer than k installs beside what was told before."""

    def __init__(self, k: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._k, self._clock = k, clock
        self._lock = threading.Lock()
        self._told: dict[str, list[_Told]] = {}  # by who asks: of today and of the day before

    def withhold(self, who: str, cells: Iterable[Cell]) -> set[str]:
        """The buckets of an answer's cells that must not be told. The cells of the others are noted as told."""
        with self._lock:
            days = self._days(who)
            buckets: dict[str, list[Cell]] = {}
            for cell in cells:
                buckets.setdefault(cell.bucket, []).append(cell)
            bad = set()
            for bucket, of_bucket in buckets.items():
                full = len(days[-1].cells) + len(of_bucket) > MOST_CELLS
                many = any(len(cell.conditions) > MOST_CONDITIONS for cell in of_bucket)
                if full or many or any(day.tells(cell, self._k) for day in days for cell in of_bucket):
                    bad.add(bucket)
                    continue
                for cell in of_bucket:
                    days[-1].note(cell)
            return bad

    def _days(self, who: str) -> list[_Told]:
        now = self._clock()
        days = [day for day in self._told.get(who, []) if day.since > now - 2 * KEPT_SECONDS]
        if not days or days[-1].since <= now - KEPT_SECONDS:
            days = [*days[-1:], _Told(now)]
        self._told[who] = days
        return days


def _parts(cell: Cell) -> Iterator[frozenset[Condition]]:
    """Each part of the conditions of a cell, all and none of them included."""
    for size in range(len(cell.conditions) + 1):
        yield from map(frozenset, combinations(sorted(cell.conditions), size))
