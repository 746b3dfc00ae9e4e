"""Slows down a token that asks many narrow questions, and reports it to the admin.

A narrow question has a filter, and at least one bucket of its answer has no figure. One such answer discloses nothing,
but hundreds of them an hour are a search for single installs. Pure except for its clock. The counts are in memory,
because the dashboard is one process.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from warehouse.queries.metrics import MetricQuery

WINDOW_SECONDS = 3600.0
# A dashboard with a hundred charts asks fewer different narrow questions than this.
FREE = 500
STEP = 500
LEAST_DELAY, MOST_DELAY = 0.05, 3.0
MOST_ASKERS, MOST_KEPT = 200, 20_000


@dataclass(frozen=True)
class Asker:
    """A token that asked more than `FREE` different narrow questions within the hour."""

    who: str
    questions: int


class NarrowQuestions:
    """Counts the different narrow questions of each token, over a sliding hour."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[str, dict[int, float]] = {}  # by token: the hash of each question and its last time

    def asked(self, who: str, query: MetricQuery, rows: list[dict[str, Any]]) -> tuple[float, int]:
        """Return the seconds to delay the answer, and the number of different narrow questions within the hour.

        Returns (0, 0) if the question is not narrow, or was already asked within the hour.
        """
        if not query.filters or all(row["value"] is not None for row in rows):
            return 0.0, 0
        asked_for = query.metric, query.start, query.end, query.grain, query.by, query.count
        return self.count(who, (*asked_for, frozenset(query.filters.items())))

    def count(self, who: str, narrow: Hashable) -> tuple[float, int]:
        """As `asked`, for any question that is narrow."""
        question = hash(narrow)
        now = self._clock()
        with self._lock:
            asked = self._asked.pop(who, {})
            self._asked[who] = asked  # now the most recent
            _forget(asked, now)
            if question in asked:
                return 0.0, 0
            asked[question] = now
            if len(self._asked) > MOST_ASKERS:
                del self._asked[next(iter(self._asked))]
            number = len(asked)
        return delay(number), number

    def many(self) -> list[Asker]:
        """Return the tokens with too many narrow questions, the highest number first."""
        with self._lock:
            for asked in self._asked.values():
                _forget(asked, self._clock())
            found = [Asker(who, len(asked)) for who, asked in self._asked.items() if len(asked) > FREE]
        return sorted(found, key=lambda asker: (-asker.questions, asker.who))


def delay(number: int) -> float:
    """Return the delay in seconds of the `number`th narrow question of an hour. It doubles every 500 questions."""
    if number <= FREE:
        return 0.0
    return min(MOST_DELAY, float(LEAST_DELAY * 2 ** ((number - FREE - 1) // STEP)))


def should_report(number: int) -> bool:
    """Return whether to report the `number`th narrow question of an hour: the first delayed one, then one in 2000."""
    return number > FREE and (number - FREE - 1) % (4 * STEP) == 0


def _forget(asked: dict[int, float], now: float) -> None:
    """Drop questions older than an hour, and the oldest if there are too many."""
    while asked:
        first = next(iter(asked))
        if asked[first] > now - WINDOW_SECONDS and len(asked) < MOST_KEPT:
            return
        del asked[first]
