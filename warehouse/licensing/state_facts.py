"""Makes the facts that the rules need from the state of a module on an install. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from itertools import groupby
from operator import itemgetter

from warehouse.licensing.facts import LICENSED, UNKNOWN, Holder, Install, Run
from warehouse.licensing.states import ADDRESS_DAYS, DAY, Report, State, first_time, last_time, moments, times

_EPOCH = date(1970, 1, 1)
# A report at a time, without its country: in the order in which reports count.
_Point = tuple[int, str, int, str, str, bool]
_Networks = Mapping[date, frozenset[int]]


def install(module: str, number: int, state: State, now: datetime, networks: int, days: int) -> Install:
    """Return what the rules know of an install. The state has at least one report.

    The networks are told where an install has at least `networks` of them a day, on at least `days` days.
    """
    first, last = _ends(state)
    if len({(report.status, report.key, report.source) for report, _ in state.seen}) > 1:
        runs = _runs(_points(state))
    else:
        runs = (Run(*last[1:4], _time(first), _time(last[0]), _received(state)),)
    seen, received = _networks(state, now, networks, days)
    return Install(module, number, last[4], runs, seen, received)


def holder(number: int, state: State, now: datetime) -> tuple[int, Holder]:
    """Return the key of an install's latest report, and the install as a holder of it.

    It has the days on which it claimed a license with that key: none if it does not claim one now. `unknown` changes
    neither.
    """
    (first, latest), recent = _ends(state), _recent(now)
    known = [(last_time(days), report.status) for (report, _), days in state.seen.items() if report.status != UNKNOWN]
    claims = bool(known) and max(known)[1] in LICENSED
    days: set[date] = set()
    received: set[date] = set()
    places: set[int] = set()
    for (report, place), seen in state.seen.items():
        if not claims or report.status not in LICENSED or report.key != latest[2]:
            continue
        found = {_date(last // DAY) for _, last in times(seen) if last >= recent}
        days |= found
        if report.received:
            received |= found
        if found and place.address:
            places.add(hash(place.address))
    met, _ = _received(state) or (None, None)
    return latest[2], Holder(number, _time(first), frozenset(days), frozenset(places), met, frozenset(received))


def _ends(state: State) -> tuple[int, _Point]:
    """Return the time of the first report, and the latest report."""
    first = min(map(first_time, state.seen.values()))
    return first, max(_point(last_time(days), report) for (report, _), days in state.seen.items())


def _received(state: State) -> tuple[datetime, datetime] | None:
    """Return the times of the first and the last report that a connection delivered on the day that it states."""
    received = [days for (report, _), days in state.seen.items() if report.received]
    if not received:
        return None
    return _time(min(map(first_time, received))), _time(max(map(last_time, received)))


def _points(state: State) -> list[_Point]:
    """Return the reports in order: of each day the first and the last one of each kind."""
    return sorted(_point(time, report) for (report, _), days in state.seen.items() for time in moments(days))


def _point(time: int, report: Report) -> _Point:
    return time, report.status, report.key, report.source, report.version, report.received


def _runs(points: list[_Point]) -> tuple[Run, ...]:
    """Return the runs of reports with the same status, key and source."""
    runs = []
    for (status, key, source), group in groupby(points, key=itemgetter(1, 2, 3)):
        run = list(group)
        received = [point[0] for point in run if point[5]]
        ends = (_time(received[0]), _time(received[-1])) if received else None
        runs.append(Run(status, key, source, _time(run[0][0]), _time(run[-1][0]), ends))
    return tuple(runs)


def _networks(state: State, now: datetime, networks: int, days: int) -> tuple[_Networks, _Networks]:
    """Return the networks of all reports by day, and those of the received ones."""
    recent = _recent(now)
    every: dict[int, set[int]] = {}
    received: dict[int, set[int]] = {}
    places = {place for _, place in state.seen if place.address}
    if len(places) < networks:
        return {}, {}
    for (report, place), seen in state.seen.items():
        if place.address:
            network = _network(place.address)
            for _, last in times(seen):
                if last >= recent:
                    every.setdefault(last // DAY, set()).add(network)
                    if report.received:
                        received.setdefault(last // DAY, set()).add(network)
    return _several(every, networks, days), _several(received, networks, days)


def _several(found: Mapping[int, set[int]], networks: int, days: int) -> _Networks:
    many = {_date(day): frozenset(at) for day, at in found.items() if len(at) >= networks}
    return many if len(many) >= days else {}


def _network(address: str) -> int:
    """Return the /16 of an IPv4 address or the /32 of an IPv6 address, as a number."""
    parsed = ip_address(address)
    return int(parsed) >> 16 if isinstance(parsed, IPv4Address) else 1 << 32 | int(parsed) >> 96


def _recent(now: datetime) -> int:
    """Return since when addresses count, in seconds."""
    return int((now - timedelta(days=ADDRESS_DAYS)).timestamp())


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
