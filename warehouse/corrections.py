"""Corrects rows of the usage plane in place, and rebuilds the aggregates of their install."""

import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from warehouse import install_data
from warehouse.engine import Engine
from warehouse.statement_settings import UNLOGGED

_RAW, *_AGGREGATES = install_data.TABLES["usage"]


@dataclass(frozen=True)
class Correction:
    """New values for columns of an install's rows. Covers one module ("" for all), without the beacons in `later`."""

    install: int
    module: str
    columns: dict[str, str]
    later: Collection[int] = field(default=())

    @property
    def rows(self) -> str:
        """The SQL condition that selects the rows to correct."""
        conditions = [f"install = {self.install}"]
        if self.module:
            conditions.append(f"module = {_literal(self.module)}")
        if self.later:
            conditions.append(f"beacon NOT IN ({', '.join(map(str, self.later))})")
        return " AND ".join(conditions)


def correct(engine: Engine, corrections: Sequence[Correction]) -> None:
    """Start the corrections. Like `install_data.delete`, returns once ClickHouse has accepted them.

    Raises `EngineError`; call it again after an error. Until ClickHouse has applied them, the aggregates hold old and
    new rows of the install.
    """
    installs = sorted({each.install for each in corrections})
    named = f"install IN ({', '.join(map(str, installs))})"
    values = {column: _value(column, corrections) for each in corrections for column in each.columns}
    assignments = ", ".join(f"{column} = {value}" for column, value in values.items())
    engine.command(
        f"ALTER TABLE {engine.altered(_RAW)} UPDATE {assignments} WHERE {named}",
        {**UNLOGGED, "mutations_sync": 0},
    )
    install_data.delete(engine, dict.fromkeys(_AGGREGATES, installs))
    replaced = ", ".join(f"{value} AS {column}" for column, value in values.items())
    rows = f"(SELECT * REPLACE({replaced}) FROM {_RAW} FINAL WHERE {named})"  # noqa: S608
    for target, columns, select in _views(engine):
        once: dict[str, str | int] = {**UNLOGGED, "insert_deduplication_token": secrets.token_hex(16)}
        if engine.cluster:
            once["distributed_foreground_insert"] = 1
        made = re.sub(rf"FROM\s+(\S+\.)?`?{_RAW}(_local)?`?(?=\s|$)", lambda _: f"FROM {rows}", select, count=1)
        engine.command(f"INSERT INTO {target} ({columns}) {made}", once)


def _value(column: str, corrections: Sequence[Correction]) -> str:
    """Return the column's new value in SQL: the value of the first correction that names it and covers the row."""
    cases = [f"{each.rows}, {_literal(each.columns[column])}" for each in corrections if column in each.columns]
    return f"multiIf({', '.join(cases)}, {column})"


def _views(engine: Engine) -> list[tuple[str, str, str]]:
    """Return (aggregate, columns, SELECT) of each materialized view that fills an aggregate from the rows."""
    found = engine.query(
        "SELECT name, create_table_query, as_select FROM system.tables "
        "WHERE database = currentDatabase() AND engine = 'MaterializedView'"
    )
    views = []
    for name, create, select in found:
        target = re.search(r" TO (\S+)", create)
        table = target[1].rpartition(".")[2].strip("`").removesuffix("_local") if target else ""
        if table in _AGGREGATES:
            columns = engine.query(
                "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {view:String} "
                "ORDER BY position",
                {"view": name},
            )
            views.append((table, ", ".join(column for (column,) in columns), select))
    return views


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
