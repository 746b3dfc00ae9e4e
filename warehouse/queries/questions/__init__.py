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
    """A question: what it is for, its parameters, how it is read from a query string, and how it is answered.

    `parameters` are those beside filters. `required` are parameters and filters that must be given.
    """

    summary: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    parse: Callable[[Mapping[str, str], date, date], Question]
    answer: Callable[[Reader], dict[str, Any]]


_OF_ONE_MODULE = ("module",)
QUESTIONS = {
    "lifecycle": Kind(lifecycle.SUMMARY, lifecycle.PARAMETERS, (), lifecycle.parse, lifecycle.answer),
    "retention": Kind(retention.SUMMARY, retention.PARAMETERS, (), retention.parse, retention.answer),
    "adoption": Kind(adoption.SUMMARY, adoption.PARAMETERS, _OF_ONE_MODULE, adoption.parse, adoption.answer),
    "upgrades": Kind(upgrades.SUMMARY, upgrades.PARAMETERS, _OF_ONE_MODULE, upgrades.parse, upgrades.answer),
    "together": Kind(together.SUMMARY, together.PARAMETERS, (), together.parse, together.answer),
    "drop": Kind(drop.SUMMARY, drop.PARAMETERS, _OF_ONE_MODULE, drop.parse, drop.answer),
}


def ask(
    engine: Engine, name: str, args: Mapping[str, str], terms: Terms, today: date, last_day: date
) -> dict[str, Any]:
    """Return the answer to a question. `last_day` is the last day that may count.

    Raises `QueryError` and `EngineError`.
    """
    kind = QUESTIONS[name]
    return kind.answer(Reader(engine, kind.parse(args, today, last_day), terms))
