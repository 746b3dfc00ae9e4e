"""What the rules knew before states: ClickHouse makes runs of the sightings. The tests compare the states with it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from warehouse.engine import Engine
from warehouse.licensing.facts import Holder, Install, Run
from warehouse.licensing.key_holders import MOST_HOLDERS, Key
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import ADDRESS_DAYS

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
"""
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


def holders(engine: Engine, keys: Collection[Key], now: datetime) -> dict[Key, list[Holder]]:
    """Return the installs whose latest report has one of these keys. Raises `EngineError`."""
    found: dict[Key, list[Holder]] = {}
    since = _text(now - timedelta(days=ADDRESS_DAYS))
    for module, numbers in _by_module(keys).items():
        of_key: dict[int, set[int]] = {}
        for key, install in engine.query_each(
            "SELECT key, install FROM license_keys "
            "WHERE module = {module:String} AND key IN {keys:Array(UInt64)} "
            f"GROUP BY key, install ORDER BY key, max(last_seen) DESC LIMIT {MOST_HOLDERS} BY key",
            "keys",
            numbers,
            {"module": module},
        ):
            of_key.setdefault(install, set()).add(key)
        for install, key, first, days, places, received in engine.query_each(
            "SELECT install, argMax(key, (time, beacon)) AS latest, toUnixTimestamp(toDateTime(min(time))), "
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


def _by_module(pairs: Iterable[tuple[str, int]]) -> Mapping[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for module, number in pairs:
        found.setdefault(module, []).append(number)
    return found


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
