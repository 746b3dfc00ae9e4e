"""The questions of the read API beyond counts: each is a module with its parameters and its answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from warehouse.engine import Engine
from warehouse.queries.questions import adoption, drop, lifecycle, retention, together, upgrades
from warehouse.queries.questions.question import Question
from warehouse.queries.questions.reader import Reader, Terms

__all__ = ["QUESTIONS", "Terms", "ask"]


@dataclass(frozen=True)
class Kind:
    """A question: how it is read from a query string, and how it is answered."""

    parse: Callable[[Mapping[str, str], date, date], Question]
    answer: Callable[[Reader], dict[str, Any]]


QUESTIONS = {
    "lifecycle": Kind(lifecycle.parse, lifecycle.answer),
    "retention": Kind(retention.parse, retention.answer),
    "adoption": Kind(adoption.parse, adoption.answer),
    "upgrades": Kind(upgrades.parse, upgrades.answer),
    "together": Kind(together.parse, together.answer),
    "drop": Kind(drop.parse, drop.answer),
}


def ask(
    engine: Engine, name: str, args: Mapping[str, str], terms: Terms, today: date, last_day: date
) -> dict[str, Any]:
    """Return the answer to a question. `last_day` is the last day that may count.

    Raises `QueryError` and `EngineError`.
    """
    kind = QUESTIONS[name]
    return kind.answer(Reader(engine, kind.parse(args, today, last_day), terms))
