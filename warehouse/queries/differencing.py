"""Prevents differencing attacks in mode `strict`. Pure except for its clock; bounded in memory.

If one count includes all installs of another, the difference shows how many are only in the first: such as a count with
and without one more filter, or over more and fewer days. If the difference is 1 to k - 1 and one client asks for both
within a day, the later count is withheld.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, combinations

KEPT_SECONDS = 86_400.0
# One client gets at most this many figures within a day.
MOST_CELLS = 20_000
# A cell is stored under each subset of its conditions. A cell with more conditions than this is withheld.
MOST_CONDITIONS = 8
# An install may have several values of these, so that parts of a count overlap.
_OVERLAPPING = frozenset({"feature", "module"})

Condition = tuple[str, str]  # a dimension and its value


@dataclass(frozen=True)
class Cell:
    """A count of the installs that meet all `conditions` on any day of a bucket, from `start` to `end`."""

    bucket: str
    start: date
    end: date
    conditions: frozenset[Condition]
    installs: int

    def within(self, other: "Cell") -> bool:
        """Return whether all days of this cell are also days of the other."""
        return other.start <= self.start and self.end <= other.end

    def divides(self, whole: frozenset[Condition]) -> frozenset[str]:
        """Return the dimensions by which this cell is a part of the installs that meet `whole`."""
        return frozenset(name or value for name, value in self.conditions - whole)


@dataclass
class _AnsweredCells:
    """The cells that one client got within a day, by their conditions and by each subset of these."""

    since: float
    own: dict[frozenset[Condition], list[Cell]] = field(default_factory=dict)
    wider: dict[frozenset[Condition], list[Cell]] = field(default_factory=dict)
    cells: set[Cell] = field(default_factory=set)

    def discloses(self, cell: Cell, k: int) -> bool:
        """Return whether `cell` and a comparable stored cell differ by 1 to k - 1 installs."""
        narrower = (other for other in self.wider.get(cell.conditions, ()) if other.within(cell))
        wider = (other for subset in _subsets(cell) for other in self.own.get(subset, ()) if cell.within(other))
        return any(0 < abs(other.installs - cell.installs) < k for other in chain(narrower, wider))

    def note(self, cell: Cell) -> None:
        """Store `cell`."""
        if cell in self.cells:
            return
        self.cells.add(cell)
        self.own.setdefault(cell.conditions, []).append(cell)
        for subset in _subsets(cell):
            self.wider.setdefault(subset, []).append(cell)


def _discloses_remainder(earlier: list[_AnsweredCells], answer: _AnsweredCells, k: int) -> bool:
    """Return whether a count less the sum of its parts is 1 to k - 1, of those of which the answer has one."""
    every = [*earlier, answer]
    wholes = {whole for whole in answer.wider if whole in answer.own or any(whole in one.own for one in earlier)}
    for whole in wholes:
        parts: dict[tuple[frozenset[str], date, date], dict[frozenset[Condition], Cell]] = {}
        for cell in (cell for one in every for cell in one.wider.get(whole, ())):
            dimensions = cell.divides(whole)
            if dimensions and not dimensions & _OVERLAPPING:
                parts.setdefault((dimensions, cell.start, cell.end), {})[cell.conditions] = cell
        for cells in parts.values():
            first, total = next(iter(cells.values())), sum(cell.installs for cell in cells.values())
            counts = (count for one in every for count in one.own.get(whole, ()) if first.within(count))
            if any(0 < count.installs - total < k for count in counts):
                return True
    return False


class Differencing:
    """Withholds buckets that would disclose fewer than k installs together with earlier answers."""

    def __init__(self, k: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._k, self._clock = k, clock
        self._lock = threading.Lock()
        self._answered: dict[str, list[_AnsweredCells]] = {}  # by client: the current and the previous day

    def withhold(self, who: str, cells: Iterable[Cell]) -> set[str]:
        """Return the buckets of these cells that must be withheld. Stores the cells of the other buckets."""
        with self._lock:
            days = self._days(who)
            buckets: dict[str, list[Cell]] = {}
            for cell in cells:
                buckets.setdefault(cell.bucket, []).append(cell)
            bad = set()
            for bucket, of_bucket in buckets.items():
                full = len(days[-1].cells) + len(of_bucket) > MOST_CELLS
                many = any(len(cell.conditions) > MOST_CONDITIONS for cell in of_bucket)
                if full or many or self._discloses(days, of_bucket):
                    bad.add(bucket)
                    continue
                for cell in of_bucket:
                    days[-1].note(cell)
            return bad

    def _discloses(self, days: list[_AnsweredCells], cells: list[Cell]) -> bool:
        if any(day.discloses(cell, self._k) for day in days for cell in cells):
            return True
        answer = _AnsweredCells(self._clock())
        for cell in cells:
            answer.note(cell)
        return _discloses_remainder(days, answer, self._k)

    def _days(self, who: str) -> list[_AnsweredCells]:
        now = self._clock()
        days = [day for day in self._answered.get(who, []) if day.since > now - 2 * KEPT_SECONDS]
        if not days or days[-1].since <= now - KEPT_SECONDS:
            days = [*days[-1:], _AnsweredCells(now)]
        self._answered[who] = days
        return days


def _subsets(cell: Cell) -> Iterator[frozenset[Condition]]:
    """Yield each subset of a cell's conditions, including the full and the empty set."""
    for size in range(len(cell.conditions) + 1):
        yield from map(frozenset, combinations(sorted(cell.conditions), size))
