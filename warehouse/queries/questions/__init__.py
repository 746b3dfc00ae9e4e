"""The questions of the read API beyond counts: each is a module with its parameters and its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from warehouse.engine import Engine
from warehouse.queries import metrics
from warehouse.queries.questions import adoption, drop, first_use, lifecycle, retention, together, upgrades
from warehouse.queries.questions.question import Question
from warehouse.queries.questions.reader import Reader, Terms
from warehouse.shared_statements import SharedStatements

__all__ = ["QUESTIONS", "Terms", "adoption_of_each_version", "ask", "drop_of_each_module"]


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
    "first_use": Kind(first_use.SUMMARY, first_use.PARAMETERS, ("feature",), first_use.parse, first_use.answer),
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
    question = kind.parse(args, today, last_day)
    engine = SharedStatements(engine)
    fresh_to = metrics.fresh_to(engine)  # first: no figure is older than the time that the answer states
    return {**kind.answer(Reader(engine, question, terms)), "fresh_to": fresh_to}


def drop_of_each_module(
    engine: Engine, args: Mapping[str, str], modules: Sequence[str], terms: Terms, today: date, last_day: date
) -> dict[str, dict[str, Any]]:
    """Return the totals of the answer to `drop` for each module, all asked at once. `args` name none of them.

    Raises `QueryError` and `EngineError`.
    """
    if not modules:
        return {}
    question = drop.parse({**args, "module": modules[0]}, today, last_day)
    engine = SharedStatements(engine)
    return drop.of_each_module(Reader(engine, replace(question, filters=question.conditions), terms), modules)


def adoption_of_each_version(
    engine: Engine, args: Mapping[str, str], versions: Sequence[str], terms: Terms, today: date, last_day: date
) -> dict[str, dict[str, Any]]:
    """Return the release and the rows of the answer to `adoption` for each version, all asked at once.

    `args` name none of them. Raises `QueryError` and `EngineError`.
    """
    if not versions:
        return {}
    question = adoption.parse({**args, "version": versions[0]}, today, last_day)
    filters = {name: value for name, value in question.filters.items() if name != "version"}
    engine = SharedStatements(engine)
    return adoption.of_each_version(Reader(engine, replace(question, filters=filters), terms), versions)
