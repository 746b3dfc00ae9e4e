"""Reads the facts that the rules need from the sightings. ClickHouse makes runs of them; nothing else is stored.

The queries read the sightings of the asked installs only, in the order of the table.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from warehouse.engine import Engine
from warehouse.licensing.facts import AWAY, Cohort, Holder, Install, Run
from warehouse.licensing.incidents import Turn

Pair = tuple[str, int]  # module and install
Key = tuple[str, int]  # module and key

# Addresses are kept for 30 days.
ADDRESS_DAYS = 30
# Changes of the license that are older are in no incident that still matters.
TURN_DAYS = 60
# Holders of one key that are read at most, the latest ones. A key with so many is shared, whoever the others are.
MOST_HOLDERS = 1000

_ADDRESS = "if(ip != '', ip, ip_claim)"
# The /16 of an IPv4 address or the /32 of an IPv6 address, as a hash.
_NETWORK = (
    f"cityHash64(if(position({_ADDRESS}, ':') > 0, hex(substring(IPv6StringToNumOrDefault({_ADDRESS}), 1, 4)), "
    f"arrayStringConcat(arraySlice(splitByChar('.', {_ADDRESS}), 1, 2), '.')))"
)
# A run begins where a report differs from the one before, and ends where it differs from the one after.
_RUNS = """
SELECT module, install, sightings[-1].5, sightings[-1].6,
    arrayFilter((each, n) -> n = 1 OR (each.2, each.3, each.4) != (sightings[n - 1].2, sightings[n - 1].3,
        sightings[n - 1].4), sightings, arrayEnumerate(sightings)) AS begins,
    arrayMap(each -> each.1, arrayFilter((each, n) -> n = length(sightings) OR (each.2, each.3, each.4) !=
        (sightings[n + 1].2, sightings[n + 1].3, sightings[n + 1].4), sightings, arrayEnumerate(sightings))) AS ends
FROM (
    SELECT module, install, arraySort(groupArray((toUnixTimestamp(toDateTime(time)), status::String, key,
        source::String, version::String, received))) AS sightings
    FROM license_sightings
    WHERE {where} GROUP BY module, install
)
"""
_NETWORKS = f"""
SELECT module, install, groupArray((day, networks)) AS seen
FROM (
    SELECT module, install, toDate(time) AS day, groupUniqArray({_NETWORK}) AS networks
    FROM license_sightings
    WHERE {{where}} AND time >= {{since:DateTime}} AND (ip != '' OR ip_claim != '')
    GROUP BY module, install, day HAVING length(networks) >= {{networks:UInt32}}
)
GROUP BY module, install HAVING length(seen) >= {{days:UInt32}}
"""  # noqa: S608
_ASKED = "module = {module:String} AND install IN {installs:Array(UInt64)}"


def installs(engine: Engine, pairs: Collection[Pair], now: datetime, networks: int, days: int) -> dict[Pair, Install]:
    """Return what is known of these installs. One without sightings is missing. Raises `EngineError`.

    The networks are told where an install has at least `networks` of them a day, on at least `days` days.
    """
    found: dict[Pair, Install] = {}
    since = _text(now - timedelta(days=ADDRESS_DAYS))
    for module, numbers in _by_module(pairs).items():
        parameters = {"module": module}
        places = {
            install: {day: frozenset(seen) for day, seen in by_day}
            for _, install, by_day in engine.query_each(
                _NETWORKS.replace("{where}", _ASKED),
                "installs",
                numbers,
                {**parameters, "since": since, "networks": networks, "days": days},
            )
        }
        for _, install, version, received, begins, ends in engine.query_each(
            _RUNS.replace("{where}", _ASKED), "installs", numbers, parameters
        ):
            runs = tuple(
                Run(status, key, source, _time(first), _time(last))
                for (first, status, key, source, *_), last in zip(begins, ends, strict=True)
            )
            found[module, install] = Install(module, install, version, bool(received), runs, places.get(install, {}))
    return found


def after(engine: Engine, pair: Pair, most: int) -> list[Pair]:
    """Return the next pairs in the order of the table, at most `most`. Raises `EngineError`."""
    return [
        (module, install)
        for module, install in engine.query(
            "SELECT DISTINCT module, install FROM sightings_by_install "
            "WHERE module >= {module:String} AND (module > {module:String} OR install > {install:UInt64}) "
            "ORDER BY module, install LIMIT {most:UInt32}",
            {"module": pair[0], "install": pair[1], "most": most},
        )
    ]


def shared(engine: Engine, keys: Collection[Key]) -> dict[Key, int]:
    """Return the keys that more than one install has ever reported, each with their number. Raises `EngineError`."""
    found: dict[Key, int] = {}
    for module, numbers in _by_module(keys).items():
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
    found: dict[Key, list[Holder]] = {}
    since = _text(now - timedelta(days=ADDRESS_DAYS))
    for module, numbers in _by_module(keys).items():
        of_key: dict[int, set[int]] = {}
        for key, install in engine.query_each(
            "SELECT key, install FROM license_keys "  # noqa: S608
            "WHERE module = {module:String} AND key IN {keys:Array(UInt64)} "
            f"GROUP BY key, install ORDER BY key, max(last_seen) DESC LIMIT {MOST_HOLDERS} BY key",
            "keys",
            numbers,
            {"module": module},
        ):
            of_key.setdefault(install, set()).add(key)
        for install, key, first, days, places, received in engine.query_each(
            "SELECT install, argMax(key, (time, beacon)) AS latest, toUnixTimestamp(toDateTime(min(time))), "  # noqa: S608
            "groupUniqArrayIf(toDate(time), time >= {since:DateTime}), "
            f"groupUniqArrayIf(cityHash64({_ADDRESS}), time >= {{since:DateTime}} AND (ip != '' OR ip_claim != '')), "
            f"min(received) FROM license_sightings WHERE {_ASKED} GROUP BY install",
            "installs",
            of_key,
            {"module": module, "since": since},
        ):
            if key in of_key[install]:
                holder = Holder(install, _time(first), frozenset(days), frozenset(places), bool(received))
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


def _by_module(pairs: Iterable[tuple[str, int]]) -> Mapping[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for module, number in pairs:
        found.setdefault(module, []).append(number)
    return found


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
