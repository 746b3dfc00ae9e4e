"""What the rules knew before states: ClickHouse makes runs of the sightings. The tests compare the states with it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

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
_SIGHTINGS = """
SELECT install, groupArray((toUnixTimestamp(toDateTime(time)), status::String, key, source::String, version::String,
    received))
FROM license_sightings WHERE {where} GROUP BY install
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
_PLACE = f"if(ip != '' OR ip_claim != '', cityHash64({_ADDRESS}), 0)"
_ASKED = "module = {module:String} AND install IN {installs:Array(UInt64)}"


def installs(engine: Engine, pairs: Collection[Pair], now: datetime, networks: int, days: int) -> dict[Pair, Install]:
    """Return what is known of these installs. One without sightings is missing. Raises `EngineError`.

    The networks are told where an install has at least `networks` of them a day, on at least `days` days.
    """
    found: dict[Pair, Install] = {}
    for module, numbers in _by_module(pairs).items():
        parameters = {
            "module": module, "since": _text(now - timedelta(days=ADDRESS_DAYS)), "networks": networks, "days": days,
        }  # fmt: skip
        every, received = (
            {
                install: {day: frozenset(seen) for day, seen in by_day}
                for _, install, by_day in engine.query_each(
                    _NETWORKS.replace("{where}", where), "installs", numbers, parameters
                )
            }
            for where in (_ASKED, f"{_ASKED} AND received = 1")
        )
        for install, sightings in engine.query_each(
            _SIGHTINGS.replace("{where}", _ASKED), "installs", numbers, {"module": module}
        ):
            seen = sorted(map(tuple, sightings))
            found[module, install] = Install(
                module, install, seen[-1][4], _runs(seen), every.get(install, {}), received.get(install, {})
            )
    return found


def _runs(sightings: Sequence[tuple[Any, ...]]) -> tuple[Run, ...]:
    """Return the runs: one begins where a report differs from the one before."""
    runs: list[list[tuple[Any, ...]]] = []
    for one in sightings:
        if not runs or runs[-1][-1][1:4] != one[1:4]:
            runs.append([])
        runs[-1].append(one)
    made = []
    for run in runs:
        received = [_time(time) for time, *_, is_received in run if is_received]
        ends = (min(received), max(received)) if received else None
        _, status, key, source, *_ = run[0]
        made.append(Run(status, key, source, _time(run[0][0]), _time(run[-1][0]), ends))
    return tuple(made)


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
        for install, key, status, first, met, *claimed in engine.query_each(
            "SELECT install, argMax(key, (time, beacon)) AS latest, "
            "argMaxIf(status::String, (time, beacon), status != 'unknown'), toUnixTimestamp(toDateTime(min(time))), "
            "toUnixTimestamp(toDateTime(minIf(time, received = 1))), "
            f"groupUniqArrayIf((key, toDate(time), {_PLACE}, received), "
            "status = 'licensed' AND time >= {since:DateTime}) "
            f"FROM license_sightings WHERE {_ASKED} GROUP BY install",
            "installs",
            of_key,
            {"module": module, "since": since},
        ):
            if key in of_key[install]:
                seen = [each for each in claimed[0] if each[0] == key and status == "licensed"]
                holder = Holder(
                    install,
                    _time(first),
                    frozenset(day for _, day, *_ in seen),
                    frozenset(place for _, _, place, _ in seen if place),
                    _time(met) if met else None,
                    frozenset(day for _, day, _, is_received in seen if is_received),
                )
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
