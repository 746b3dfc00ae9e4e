"""Reads the facts that the rules need about keys and whole modules."""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from warehouse.engine import Engine
from warehouse.licensing import state_facts, state_rows
from warehouse.licensing.facts import AWAY, Cohort, Holder
from warehouse.licensing.incidents import Turn
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import ADDRESS_DAYS, trimmed

Key = tuple[str, int]  # module and key

# Changes of the license that are older are in no incident that still matters.
TURN_DAYS = 60
# Holders of one key that are read at most, the latest ones. A key with so many is shared, whoever the others are.
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
            "SELECT key, install FROM license_keys "  # noqa: S608
            "WHERE module = {module:String} AND key IN {keys:Array(UInt64)} "
            f"GROUP BY key, install ORDER BY key, max(last_seen) DESC, install LIMIT {MOST_HOLDERS} BY key",
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


def cohorts(engine: Engine, now: datetime) -> dict[tuple[str, str], Cohort]:
    """Return by module and version the installs that have reported `licensed` for two days or more, and with a key.

    An install that was seen once proves nothing about its version. Raises `EngineError`.
    """
    found = engine.query(
        "SELECT module, report.1 AS version, count(), countIf(report.3 != 0) FROM ("
        "SELECT module, install, argMaxMerge(latest) AS report FROM sightings_by_install "
        "WHERE status = 'licensed' AND last_seen >= {since:DateTime} "
        "GROUP BY module, install HAVING max(last_seen) >= min(first_seen) + INTERVAL 2 DAY"
        ") GROUP BY module, version",
        {"since": _text(now - timedelta(days=ADDRESS_DAYS))},
    )
    return {(module, version): Cohort(number, with_key) for module, version, number, with_key in found}


def turns(engine: Engine, now: datetime) -> tuple[dict[str, list[Turn]], dict[str, int]]:
    """Return by module when installs turned from licensed, and the number of its installs. Raises `EngineError`.

    Only modules of which several installs turned are told.
    """
    since = _text(now - timedelta(days=TURN_DAYS))
    away = "status IN ('" + "', '".join(sorted(AWAY)) + "')"
    found: dict[str, list[Turn]] = {}
    for module, install, turned, returned in engine.query(
        f"SELECT module, install, "  # noqa: S608
        f"arrayMap(n -> s[n].1, arrayFilter(n -> n > 1 AND s[n].2 AND NOT s[n - 1].2, arrayEnumerate(s))) AS turned, "
        f"arrayMap(n -> s[n].1, arrayFilter(n -> n > 1 AND NOT s[n].2 AND s[n - 1].2, arrayEnumerate(s))) AS returned "
        f"FROM (SELECT module, install, "
        f"arraySort(groupArray((toUnixTimestamp(toDateTime(time)), toUInt8({away})))) AS s FROM license_sightings "
        f"WHERE time >= {{since:DateTime}} AND (status = 'licensed' OR {away}) AND (module, install) IN "
        f"(SELECT module, install FROM sightings_by_install WHERE {away} AND last_seen >= {{since:DateTime}}) "
        f"GROUP BY module, install) WHERE notEmpty(turned)",
        {"since": since},
    ):
        backs = sorted(returned)
        for at in turned:
            back = next((_time(one) for one in backs if one > at), None)
            found.setdefault(module, []).append(Turn(_time(at), install, back))
    numbers = engine.query(
        "SELECT module, uniqExact(install) FROM sightings_by_install WHERE last_seen >= {since:DateTime} "
        "GROUP BY module",
        {"since": since},
    )
    return found, dict(numbers)


def away(engine: Engine, module: str) -> Iterator[Pair]:
    """Yield the installs of a module that have ever reported something else than a license. Raises `EngineError`."""
    for (install,) in engine.query(
        "SELECT DISTINCT install FROM sightings_by_install WHERE module = {module:String} "
        "AND status IN {statuses:Array(String)}",
        {"module": module, "statuses": sorted(AWAY)},
    ):
        yield module, install


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
