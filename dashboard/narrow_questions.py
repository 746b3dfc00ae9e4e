"""Many narrow questions of one token: they are answered later and later, and the admin is told.

A narrow question has a filter, and at least one bucket of its answer has no figure. Such an answer tells nothing; but
whoever asks for hundreds of them an hour looks for single installs. Pure but for its clock; the dashboard is one
process, so memory will do.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from warehouse.queries.metrics import MetricQuery

WINDOW_SECONDS = 3600.0
# A dashboard of a hundred charts does not ask so many different ones.
FREE = 500
STEP = 500
LEAST_DELAY, MOST_DELAY = 0.05, 3.0
MOST_ASKERS, MOST_KEPT = 200, 20_000


@dataclass(frozen=True)
class Asker:
    """Who asked more than `FREE` different narrow questions within the hour."""

    who: str
    questions: int


class NarrowQuestions:
    """Counts different narrow questions by who asks them, over a sliding hour."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[str, dict[int, float]] = {}  # by who: the question's hash and when it was asked last

    def asked(self, who: str, query: MetricQuery, rows: list[dict[str, Any]]) -> tuple[float, int]:
        """For how many seconds to hold the answer back, and the number of different narrow questions of the hour.

        (0, 0) for a question that is not narrow, or was asked in this hour already.
        """
        if not query.filters or all(row["value"] is not None for row in rows):
            return 0.0, 0
        asked_for = query.metric, query.start, query.end, query.grain, query.by, query.count
        question = hash((*asked_for, frozenset(query.filters.items())))
        now = self._clock()
        with self._lock:
            asked = self._asked.pop(who, {})
            self._asked[who] = asked  # the last of them
            _forget(asked, now)
            if question in asked:
                return 0.0, 0
            asked[question] = now
            if len(self._asked) > MOST_ASKERS:
                del self._asked[next(iter(self._asked))]
            number = len(asked)
        return delay(number), number

    def many(self) -> list[Asker]:
        """Those who ask too many now, the worst first."""
        with self._lock:
            for asked in self._asked.values():
                _forget(asked, self._clock())
            found = [Asker(who, len(asked)) for who, asked in self._asked.items() if len(asked) > FREE]
        return sorted(found, key=lambda asker: (-asker.questions, asker.who))


def delay(number: int) -> float:
    """Seconds by which the `number`th narrow question of an hour is held back: twice as long for each 500 more."""
    if number <= FREE:
        return 0.0
    return min(MOST_DELAY, float(LEAST_DELAY * 2 ** ((number - FREE - 1) // STEP)))


def tells(number: int) -> bool:
    """Whether the admin is told at the `number`th narrow question of an hour: at the first slow one, then rarely."""
    return number > FREE and (number - FREE - 1) % (4 * STEP) == 0


def _forget(asked: dict[int, float], now: float) -> None:
    """Drop what was asked more than an hour ago, and the oldest of too many."""
    while asked:
        first = next(iter(asked))
        if asked[first] > now - WINDOW_SECONDS and len(asked) < MOST_KEPT:
            return
        del asked[first]
