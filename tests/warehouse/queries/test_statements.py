"""How often a question asks ClickHouse."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.queries import metrics
from warehouse.queries.questions import QUESTIONS, Terms, ask

TODAY = date(2028, 4, 5)
ARGUMENTS: dict[str, dict[str, str]] = {
    "adoption": {"module": "invoice_pro", "version": "4.0.0"},
    "drop": {"module": "invoice_pro", "php_series.lt": "8.2"},
    "first_use": {"feature": "admin.widget"},
    "upgrades": {"module": "invoice_pro"},
}


def asked(engine: Engine, _home: Home) -> dict[str, list[tuple[str, str]]]:
    """Return the statements of each question and of a metric with filters, in an empty database."""
    migrate(engine)
    found: dict[str, list[tuple[str, str]]] = {}
    query = Engine.query

    for name in (*QUESTIONS, "feature_uses"):
        statements = found.setdefault(name, [])

        def noted(
            self: Engine,
            sql: str,
            parameters: Mapping[str, Any] | None = None,
            settings: Mapping[str, Any] | None = None,
            statements: list[tuple[str, str]] = statements,
        ) -> list[tuple[Any, ...]]:
            statements.append((sql, repr(parameters)))
            return query(self, sql, parameters, settings)

        with patch.object(Engine, "query", noted):
            if name in QUESTIONS:
                ask(engine, name, ARGUMENTS.get(name, {}), Terms(5), TODAY, TODAY)
            else:
                given = {"by": "php_series", "feature": "admin.widget", "module": "invoice_pro", "php.lt": "8.2"}
                metrics.answer(engine, metrics.parse(name, given, TODAY), 5)
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_no_question_asks_the_same_twice(kind: str, tmp_path: Path) -> None:
    """Its parts have statements in common: how fresh the figures are, the texts, and what may be told."""
    for name, statements in done_in(kind, tmp_path, asked).items():
        assert statements, name
        assert len(set(statements)) == len(statements), name
