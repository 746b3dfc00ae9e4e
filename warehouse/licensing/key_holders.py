"""Reads which installs have reported a license key."""

from collections.abc import Collection, Iterable
from datetime import datetime

from warehouse.engine import Engine
from warehouse.licensing import state_facts, state_rows
from warehouse.licensing.facts import Holder
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import trimmed

Key = tuple[str, int]  # module and key

# Holders of one key that are read at most. A key with so many is shared, whoever the others are.
MOST_HOLDERS = 1000


def shared(engine: Engine, keys: Collection[Key]) -> dict[Key, int]:
    """Return the keys that more than one install has ever reported, each with their number. Raises `EngineError`."""
    found: dict[Key, int] = {}
    for module, numbers in state_rows.by_module(keys).items():
        for key, holders in engine.query_each(
            "SELECT key, uniqExact(install) AS holders FROM license_keys "
            "WHERE module = {module:String} AND key IN {keys:Array(UInt64)} GROUP BY key HAVING holders > 1",
            "keys",
            numbers,
            {"module": module},
        ):
            found[module, key] = holders
    return found


def holders(engine: Engine, keys: Collection[Key], now: datetime) -> dict[Key, list[Holder]]:
    """Return the installs whose latest report has one of these keys. Raises `EngineError`."""
    of_key: dict[Pair, set[int]] = {}
    for module, numbers in state_rows.by_module(keys).items():
        for key, install in engine.query_each(
            "SELECT DISTINCT key, install FROM license_keys "  # noqa: S608
            "WHERE module = {module:String} AND key IN {keys:Array(UInt64)} "
            f"ORDER BY key, install LIMIT {MOST_HOLDERS} BY key",
            "keys",
            numbers,
            {"module": module},
        ):
            of_key.setdefault((module, install), set()).add(key)
    found: dict[Key, list[Holder]] = {}
    for (module, install), parts in state_rows.read(engine, of_key).items():
        state = trimmed(parts, now)
        if state.seen:
            key, holder = state_facts.holder(install, state, now)
            if key in of_key[module, install]:
                found.setdefault((module, key), []).append(holder)
    return found


def holding(engine: Engine, keys: Iterable[int]) -> list[Pair]:
    """Return the pairs that have ever reported one of these keys, for any module. Raises `EngineError`."""
    sql = "SELECT DISTINCT module, install FROM license_keys WHERE key IN {keys:Array(UInt64)}"
    return [(module, install) for module, install in engine.query_each(sql, "keys", set(keys))]
