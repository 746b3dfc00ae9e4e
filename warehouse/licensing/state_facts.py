"""Makes the facts that the rules need from the state of a module on an install. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Address, ip_address

from warehouse.licensing.facts import Holder, Install, Run
from warehouse.licensing.states import ADDRESS_DAYS, DAY, Report, State, first_time, last_time, moments, times

_EPOCH = date(1970, 1, 1)
# A report at a time, without its country: in the order in which reports count.
_Point = tuple[int, str, int, str, str, bool]


def install(module: str, number: int, state: State, now: datetime, networks: int, days: int) -> Install:
    """Return what the rules know of an install. The state has at least one report.

    The networks are told where an install has at least `networks` of them a day, on at least `days` days.
    """
    first, last = _ends(state)
    if len({(report.status, report.key, report.source) for report, _ in state.seen}) > 1:
        runs = _runs(_points(state))
    else:
        runs = (Run(*last[1:4], _time(first), _time(last[0])),)
    return Install(module, number, *last[4:], runs, _networks(state, now, networks, days))


def holder(number: int, state: State, now: datetime) -> tuple[int, Holder]:
    """Return the key of an install's latest report, and the install as a holder of it."""
    (first, latest), recent = _ends(state), _recent(now)
    days: set[date] = set()
    places: set[int] = set()
    for (_, place), seen in state.seen.items():
        found = {_date(last // DAY) for _, last in times(seen) if last >= recent}
        days |= found
        if found and place.address:
            places.add(hash(place.address))
    received = all(report.received for report, _ in state.seen)
    return latest[2], Holder(number, _time(first), frozenset(days), frozenset(places), received)


def _ends(state: State) -> tuple[int, _Point]:
    """Return the time of the first report, and the latest report."""
    first = min(map(first_time, state.seen.values()))
    return first, max(_point(last_time(days), report) for (report, _), days in state.seen.items())


def _points(state: State) -> list[_Point]:
    """Return the reports in order: of each day the first and the last one of each kind."""
    return sorted(_point(time, report) for (report, _), days in state.seen.items() for time in moments(days))


def _point(time: int, report: Report) -> _Point:
    return time, report.status, report.key, report.source, report.version, report.received


def _runs(points: list[_Point]) -> tuple[Run, ...]:
    """Return the runs of reports with the same status, key and source."""
    runs = []
    said, since, until = points[0][1:4], points[0][0], points[0][0]
    for point in points:
        if point[1:4] != said:
            runs.append(Run(*said, _time(since), _time(until)))
            said, since = point[1:4], point[0]
        until = point[0]
    return (*runs, Run(*said, _time(since), _time(until)))


def _networks(state: State, now: datetime, networks: int, days: int) -> Mapping[date, frozenset[int]]:
    recent = _recent(now)
    found: dict[int, set[int]] = {}
    places = {place for _, place in state.seen if place.address}
    if len(places) < networks:
        return {}
    for (_, place), seen in state.seen.items():
        if place.address:
            network = _network(place.address)
            for _, last in times(seen):
                if last >= recent:
                    found.setdefault(last // DAY, set()).add(network)
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
