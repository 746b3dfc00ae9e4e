"""What is known of license keys: how many installs have reported them, and what the vendor's registry says of them."""

from collections.abc import Collection
from dataclasses import dataclass

from warehouse.engine import Engine
from warehouse.licensing.rules.shared_key import allowance
from warehouse.server_users import ServerUser


@dataclass(frozen=True, order=True)
class KnownKey:
    """A key of a module: how many installs have reported it, and its row in the registry in words, None without one."""

    key: int
    module: str
    installs: int
    registered: str | None


def known(engine: Engine, keys: Collection[int]) -> list[KnownKey]:
    """Return these keys with each module that reports them or has them in its registry. Raises `EngineError`."""
    reader = engine.as_user(ServerUser.LICENSING)
    rows = reader.query_each(
        "SELECT module::String, key, uniqExact(install) FROM license_keys WHERE key IN {keys:Array(UInt64)} "
        "GROUP BY module, key",
        "keys",
        keys,
    )
    installs = {(module, key): number for module, key, number in rows}
    entries = registered(reader, keys)
    return sorted(
        KnownKey(key, module, installs.get((module, key), 0), entries.get((module, key)))
        for module, key in installs.keys() | entries.keys()
    )


def registered(reader: Engine, keys: Collection[int]) -> dict[tuple[str, int], str]:
    """Return by module and key what the registry says now, in words. Raises `EngineError`."""
    rows = reader.query_each(
        "SELECT module::String AS module, key, "
        "argMax((state::String, max_installs, copies, source::String, valid_until), changed) AS now "
        "FROM license_registry WHERE key IN {keys:Array(UInt64)} GROUP BY module, key",
        "keys",
        keys,
    )
    found = {}
    for module, key, (state, most, copies, source, until) in rows:
        ends = f", until {until}" if until else ""
        sold = f", sold through {source}" if source else ""
        found[module, key] = f"{state}, for {allowance(most or None, copies)}{ends}{sold}"
    return found
