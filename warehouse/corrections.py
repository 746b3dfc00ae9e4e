"""Corrects values of an install in the usage plane: in its rows, and in its aggregates, which outlive the rows.

The values are part of the key of an aggregate. So a correction inserts corrected copies and then deletes the rows that
they replace. The copies carry the correction's own `edition`. A crash repeats the correction: the copies are only
topped up to what the rows that are left say, so that nothing is lost and nothing is summed twice.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from warehouse.engine import Engine
from warehouse.month_tables import VALUES
from warehouse.statement_settings import UNLOGGED

_VALUES = VALUES.split(", ")


@dataclass(frozen=True)
class Correction:
    """New values for columns of an install's rows. Covers one module ("" for all), without the beacons in `later`.

    `edition` is odd and marks what is corrected. The loader has given `edition - 1` to the beacons in `later`.
    """

    install: int
    module: str
    columns: dict[str, str]
    edition: int
    later: Collection[int] = field(default=())

    @property
    def scope(self) -> str:
        """The SQL condition for the install and the module."""
        module = f" AND module = {_literal(self.module)}" if self.module else ""
        return f"(install = {self.install}{module})"

    @property
    def rows(self) -> str:
        """The SQL condition that selects the beacons to correct."""
        later = f" AND beacon NOT IN ({', '.join(map(str, self.later))})" if self.later else ""
        return self.scope + later

    @property
    def replaced(self) -> str:
        """The SQL condition that selects the rows of an aggregate to replace."""
        return f"({self.scope} AND edition NOT IN ({self.edition}, {self.edition - 1}))"


def correct(engine: Engine, corrections: Sequence[Correction]) -> None:
    """Start the corrections. Like `install_data.delete`, returns once ClickHouse has accepted them.

    Raises `EngineError`; call it again after an error. Until ClickHouse has applied them, the aggregates hold old and
    new rows of the install.
    """
    # The aggregates do not have every column of a beacon.
    counted = [each for each in corrections if set(each.columns) & set(_VALUES)]
    if counted:
        _copy_days(engine, counted)
        _copy_uses(engine, counted)
    columns = list(dict.fromkeys(column for each in corrections for column in each.columns))
    assignments = [f"{column} = {_value(column, corrections, lambda each: each.rows)}" for column in columns]
    assignments.append(f"edition = {_edition(corrections, lambda each: each.rows)}")
    _alter(engine, "usage_beacons", f"UPDATE {', '.join(assignments)} WHERE {_installs(corrections)}")
    for table in ("installs_by_month", "features_by_month") if counted else ():
        _alter(engine, table, f"DELETE WHERE {' OR '.join(each.replaced for each in counted)}")


def _copy_days(engine: Engine, corrections: Sequence[Correction]) -> None:
    values = ", ".join(_corrected(corrections))
    edition = _edition(corrections, lambda each: each.scope)
    _insert(
        engine,
        corrections,
        "installs_by_month",
        f"""
        (module, install, month, {VALUES}, days, used, edition)
        SELECT module, install, month, {values}, days, used, {edition}
        FROM installs_by_month WHERE {" OR ".join(each.replaced for each in corrections)}
        """,  # noqa: S608
    )


def _copy_uses(engine: Engine, corrections: Sequence[Correction]) -> None:
    # What the copies hold already, of an earlier attempt, is subtracted.
    values = ", ".join(_corrected(corrections))
    edition = _edition(corrections, lambda each: each.scope)
    copied = " OR ".join(f"({each.scope} AND edition = {each.edition})" for each in corrections)
    _insert(
        engine,
        corrections,
        "features_by_month",
        f"""
        (module, feature, install, month, variant, reported, used, uses, edition)
        SELECT
            module, feature, install, month, new, groupBitOr(named), groupBitOr(counted),
            mapFilter((day, number) -> number > 0, sumMap(amount))::Map(UInt8, UInt64), target
        FROM (
            SELECT
                module, feature, install, month, new, reported AS named, used AS counted,
                uses::Map(UInt8, Int64) AS amount, {edition} AS target
            FROM features_by_month
            INNER JOIN (
                SELECT DISTINCT module, install, month, variant, toUInt32(cityHash64({values})) AS new
                FROM installs_by_month WHERE {_installs(corrections)}
            ) AS variants USING (module, install, month, variant)
            WHERE {" OR ".join(each.replaced for each in corrections)}
            UNION ALL
            SELECT
                module, feature, install, month, variant, 0, 0,
                mapApply((day, number) -> (day, -number), uses::Map(UInt8, Int64)), edition
            FROM features_by_month WHERE {copied}
        )
        GROUP BY module, feature, install, month, new, target
        """,  # noqa: S608
    )


def _insert(engine: Engine, corrections: Sequence[Correction], table: str, select: str) -> None:
    # The same token in each attempt: a replica that lags behind does not yet have the copies of an earlier one.
    editions = ",".join(str(each) for each in sorted(each.edition for each in corrections))
    token = hashlib.sha256(f"{table} {editions}".encode()).hexdigest()
    engine.command(f"INSERT INTO {table} {select}", {**UNLOGGED, "insert_deduplication_token": token})


def _alter(engine: Engine, table: str, what: str) -> None:
    engine.command(f"ALTER TABLE {engine.altered(table)} {what}", {**UNLOGGED, "mutations_sync": 0})


def _installs(corrections: Sequence[Correction]) -> str:
    return f"install IN ({', '.join(map(str, sorted({each.install for each in corrections})))})"


def _corrected(corrections: Sequence[Correction]) -> list[str]:
    """Return the values of an aggregate's row in SQL, corrected."""
    return [
        _value(column, corrections, lambda each: each.scope)
        if any(column in each.columns for each in corrections)
        else column
        for column in _VALUES
    ]


def _value(column: str, corrections: Sequence[Correction], covers: Callable[[Correction], str]) -> str:
    """Return the column's new value in SQL: the value of the first correction that names it and covers the row."""
    cases = [f"{covers(each)}, {_literal(each.columns[column])}" for each in corrections if column in each.columns]
    return f"multiIf({', '.join(cases)}, {column})"


def _edition(corrections: Sequence[Correction], covers: Callable[[Correction], str]) -> str:
    cases = ", ".join(f"{covers(each)}, toUInt32({each.edition})" for each in corrections)
    return f"multiIf({cases}, edition)"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
