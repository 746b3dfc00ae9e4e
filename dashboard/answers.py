"""Asks the warehouse for a page: each question once, however many charts of the page have it."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from dashboard.filters import today
from dashboard.looks import Looks
from warehouse import queries
from warehouse.access_log import AccessLog
from warehouse.engine import Engine

# The charts of one page ask at the same moment, and half of them for the same total. Far below the ten seconds after
# which a beacon must be in the figures.
KEPT_SECONDS = 2.0

Answer = dict[str, Any]
Question = tuple[str, frozenset[tuple[str, str]]]


class Answers:
    """The answers of the read API's queries, each kept for `KEPT_SECONDS`. Threads that ask the same wait for one."""

    def __init__(self, engine: Engine, k: int, access_log: AccessLog) -> None:
        self._engine = engine
        self.k = k
        self.access_log = access_log
        self.looks = Looks(engine, access_log)
        self._kept: dict[Question, tuple[float, Answer]] = {}
        self._locks: dict[Question, threading.Lock] = {}
        self._lock = threading.Lock()

    def ask(self, metric: str, args: Mapping[str, str]) -> Answer:
        """The contract's answer. Raises `QueryError` and `EngineError`."""
        query = queries.parse(metric, args, today())
        question = metric, frozenset(args.items())
        with self._lock:
            self._forget_old()
            lock = self._locks.setdefault(question, threading.Lock())
        with lock:
            kept = self._kept.get(question)
            if kept is None or kept[0] < time.monotonic():
                answer = queries.answer(self._engine, query, self.k)
                kept = self._kept[question] = time.monotonic() + KEPT_SECONDS, answer
        return kept[1]

    def total(self, args: Mapping[str, str]) -> int | None:
        """Active installs over the whole period; 0 when there are none, None when they are fewer than k."""
        rows = self.ask("installs", {**args, "grain": "period"})["rows"]
        return int(rows[0]["value"]) if rows and rows[0]["value"] is not None else None if rows else 0

    def modules(self) -> list[str]:
        """The names for the module filter. Raises `EngineError`."""
        return queries.modules(self._engine, self.k)

    def _forget_old(self) -> None:
        now = time.monotonic()
        for question in [question for question, (until, _) in list(self._kept.items()) if until < now]:
            del self._kept[question]
            if question in self._locks and not self._locks[question].locked():
                del self._locks[question]
