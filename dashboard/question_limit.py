"""Limits how many questions run at once, for each login or token and in all. Other questions wait for their turn.

A question whose client has disconnected is cancelled, so that it does not take a turn for nothing. A request that has
several questions asks them at once as far as there are free turns.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

from flask import Flask, g, has_request_context, request

from core.client_connection import is_closed

EACH = 4
TOTAL = 8
# A page requests all of its charts at once. Two pages that are opened together must fit.
MOST_WAITING = 32
WAIT_SECONDS = 20.0


class TooManyQuestions(Exception):
    """This login or token has too many waiting questions, or a question waited too long."""


class QuestionLimit:
    """Admits requests that query ClickHouse: at once `EACH` for a login or token, `TOTAL` for all."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()

    def register(self, server: Flask) -> None:
        """End a request's turn when the request ends, also after an error."""

        @server.teardown_request
        def end(_error: BaseException | None) -> None:
            if asker := g.pop("asker", None):
                self.leave(asker)

    def begin(self, asker: str) -> None:
        """Wait for a turn for the current request. Raises `TooManyQuestions`."""
        self.enter(asker)
        g.asker, g.questions = asker, self

    def enter(self, asker: str) -> None:
        """Wait for a turn. Call `leave` to end it. Raises `TooManyQuestions`."""
        deadline = time.monotonic() + self._wait_seconds
        with self._changed:
            if self._waiting[asker] >= MOST_WAITING:
                raise TooManyQuestions
            self._waiting[asker] += 1
            try:
                if not self._changed.wait_for(lambda: self._free(asker), deadline - time.monotonic()):
                    raise TooManyQuestions
                self._running[asker] += 1
            finally:
                self._count_down(self._waiting, asker)

    def enter_if_free(self, asker: str) -> bool:
        """Take a turn that nobody waits for. Call `leave` to end it."""
        with self._changed:
            free = self._free(asker) and not self._waiting
            if free:
                self._running[asker] += 1
            return free

    def is_waited_for(self) -> bool:
        """Return whether a question waits for a turn."""
        with self._changed:
            return bool(self._waiting)

    def leave(self, asker: str) -> None:
        """End a turn."""
        with self._changed:
            self._count_down(self._running, asker)
            self._changed.notify_all()

    def _free(self, asker: str) -> bool:
        return self._running[asker] < EACH and self._running.total() < TOTAL

    @staticmethod
    def _count_down(counter: Counter[str], asker: str) -> None:
        counter[asker] -= 1
        if not counter[asker]:
            del counter[asker]


def ask_in_free_turns(*questions: Callable[[], Any]) -> list[Any]:
    """Return the answers to questions of the current request, in their order. Raises what the first of them raises.

    Each one takes a turn that is free. Those for which there is none run one after the other, in the request's own.
    """
    if not has_request_context() or "asker" not in g:
        return [question() for question in questions]
    limit, asker = g.questions, g.asker

    def ask(question: Callable[[], Any]) -> Any:
        try:
            return question()
        finally:
            limit.leave(asker)

    # The first is the request's own: it would only wait for the others.
    asked: dict[int, Future[Any]] = {}
    with ThreadPoolExecutor(max(1, len(questions) - 1), thread_name_prefix="question") as threads:
        for number, question in enumerate(questions[1:], 1):
            if limit.enter_if_free(asker):
                asked[number] = threads.submit(copy_context().run, ask, question)
        own = {number: question() for number, question in enumerate(questions) if number not in asked}
    return [own[number] if number in own else asked[number].result() for number in range(len(questions))]


def client_gone() -> Callable[[], bool] | None:
    """Return a function that says whether the current request's client has disconnected.

    None for a request that has no turn: its result may be cached for others, as that of `/readyz`. The answers that
    begin with a page (`early`) have one.
    """
    if not has_request_context() or not ("asker" in g or "early" in g):
        return None
    connection = request.environ.get("gunicorn.socket")
    return None if connection is None else partial(is_closed, connection)
