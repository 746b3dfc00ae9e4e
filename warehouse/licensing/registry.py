"""The registry of license keys in ClickHouse. A row that says nothing new is not inserted, so repeating is harmless."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from warehouse.engine import Engine
from warehouse.licensing.facts import Entry, Registered

TABLE = "license_registry"
STATES = ("active", "expired", "suspended", "revoked")


class Row(msgspec.Struct, frozen=True):
    """A row of the table. `changed` is a time in ClickHouse's form; `sealed` is the encrypted key_hash, base64."""

    key: int
    module: str
    changed: str
    state: str
    max_installs: int = 0
    copies: int = 1
    source: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    sealed: str = ""

    @property
    def said(self) -> tuple[Any, ...]:
        """What the row says, apart from when."""
        return self.state, self.max_installs, self.copies, self.source, self.valid_from, self.valid_until


_COLUMNS = "key, module, toString(changed), state, max_installs, copies, source, valid_from, valid_until"


def load(reader: Engine, writer: Engine, rows: Sequence[Row], token: str) -> list[Row]:
    """Insert the rows that change the registry, in their order; returns them. Raises `EngineError`."""
    now = {(row.key, row.module): row for row in _rows(reader, {row.key for row in rows})}
    new = []
    for row in rows:
        before = now.get((row.key, row.module))
        if before is None or before.said != row.said:
            if before is not None and row.changed <= before.changed:
                # The clock stepped back, or another collector's is behind: what came last counts.
                row = msgspec.structs.replace(row, changed=_later(before.changed))
            new.append(row)
            now[row.key, row.module] = row
    if new:
        lines = [msgspec.json.encode(msgspec.to_builtins(row)) for row in new]
        writer.of(TABLE).insert(TABLE, lines, token)
    return new


def history(engine: Engine, keys: Collection[int]) -> dict[int, dict[str, Registered]]:
    """Return the history of these keys, by key and module. Raises `EngineError`."""
    entries: dict[int, dict[str, list[Entry]]] = {}
    for row in _rows(engine, keys, latest=False):
        entry = Entry(
            row.module, row.state, _moment(row.changed), row.max_installs or None, row.copies, row.valid_until
        )
        entries.setdefault(row.key, {}).setdefault(row.module, []).append(entry)
    return {
        key: {module: Registered(tuple(rows)) for module, rows in modules.items()} for key, modules in entries.items()
    }


def modules(engine: Engine) -> frozenset[str]:
    """Return the modules that have a registry. Raises `EngineError`."""
    return frozenset(name for (name,) in engine.of(TABLE).query(f"SELECT DISTINCT module FROM {TABLE}"))  # noqa: S608


def present(engine: Engine) -> list[Row]:
    """Return the present row of every key, with the sealed key_hash. Raises `EngineError`."""
    found = engine.of(TABLE).query(
        f"SELECT {_COLUMNS}, sealed FROM {TABLE} ORDER BY key, module, changed DESC LIMIT 1 BY key, module"  # noqa: S608
    )
    return [Row(*row) for row in found]


def _rows(engine: Engine, keys: Collection[int], *, latest: bool = True) -> list[Row]:
    found = engine.of(TABLE).query_each(
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE key IN {{keys:Array(UInt64)}} ORDER BY key, module, changed",  # noqa: S608
        "keys",
        keys,
    )
    rows = [Row(*row) for row in found]
    return list({(row.key, row.module): row for row in rows}.values()) if latest else rows


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _later(text: str) -> str:
    return (_moment(text) + timedelta(microseconds=1)).replace(tzinfo=None).isoformat(" ", "microseconds")
