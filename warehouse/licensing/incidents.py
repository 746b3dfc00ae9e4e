"""Incidents of the vendor: when many installs of a module turn from licensed at once, none of them is to blame. Pure.

A license server that is down makes innocent modules report `unlicensed`. What began in an incident raises no flag while
it lasts, and counts anew from its end.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.thresholds import Thresholds
from warehouse.licensing.facts import Incident

# Turns have no time but their day: any 24 hours lie within two days.
WINDOW = timedelta(days=2)
END_OF_DAY = timedelta(days=1, seconds=-1)
# An incident is over when less than this share of its installs has not returned.
AWAY_SHARE = 0.5


@dataclass(frozen=True)
class Turn:
    """An install that turned from licensed on a day, and the day on which it was licensed again (None: not yet).

    A day is the time at which it begins (UTC).
    """

    at: datetime
    install: int
    back: datetime | None = None


def turns(install: int, licensed: Collection[datetime], away: Collection[datetime]) -> list[Turn]:
    """Return the turns of an install, from the days on which it was licensed and those on which it was not.

    On a day with both it turned, unless it was away before: then it returned.
    """
    found: list[Turn] = []
    was_away: bool | None = None
    for day in sorted({*licensed, *away}):
        if day not in licensed:
            turned = was_away is False
            is_away = True
        else:
            turned = is_away = day in away and not was_away
        if was_away and not is_away and found:
            found[-1] = replace(found[-1], back=day)
        if turned:
            found.append(Turn(day, install))
        was_away = is_away
    return found


def find(turns: Mapping[str, Sequence[Turn]], installs: Mapping[str, int], thresholds: Thresholds) -> list[Incident]:
    """Return the incidents in the turns of each module. `installs` are the installs of each module."""
    found = []
    for module, of_module in sorted(turns.items()):
        total = installs.get(module, 0)
        least = max(thresholds.incident_installs, total * thresholds.incident_percent // 100 + 1)
        ordered = sorted(of_module, key=lambda turn: turn.at)
        first = end = 0
        while first < len(ordered):
            while end < len(ordered) and ordered[end].at < ordered[first].at + WINDOW:
                end += 1
            window = ordered[first:end] if end - first >= least else []
            if len({turn.install for turn in window}) < least:
                first += 1
                continue
            incident = _incident(module, window, total, thresholds)
            found.append(incident)
            ends = incident.until or datetime.max.replace(tzinfo=window[0].at.tzinfo)
            while first < len(ordered) and ordered[first].at <= ends:
                first += 1
    return found


def _incident(module: str, window: Sequence[Turn], total: int, thresholds: Thresholds) -> Incident:
    since, last = window[0].at, window[-1].at
    longest = since + timedelta(days=thresholds.incident_days)
    returns = sorted(turn.back for turn in window if turn.back is not None)
    enough = int(len(window) * (1 - AWAY_SHARE)) + 1
    until = max(returns[enough - 1], last) + END_OF_DAY if len(returns) >= enough else None
    affected = len({turn.install for turn in window})
    return Incident(module, since, min(until, longest) if until else None, affected, max(total, affected))


def ended(incident: Incident, now: datetime, thresholds: Thresholds) -> Incident:
    """Return the incident, over if it has lasted for as long as one may."""
    longest = incident.since + timedelta(days=thresholds.incident_days)
    if incident.until is None and longest <= now:
        return Incident(incident.module, incident.since, longest, incident.affected, incident.installs)
    return incident


def within(moment: datetime, module: str, incidents: Iterable[Incident]) -> Incident | None:
    """Return the incident of a module at a time, None if there was none."""
    for incident in incidents:
        if (
            incident.module == module
            and incident.since <= moment
            and (incident.until is None or moment <= incident.until)
        ):
            return incident
    return None


def since_incidents(since: datetime, module: str, incidents: Iterable[Incident]) -> datetime | None:
    """Return from when a run counts: from the end of the incident in which it began; None while that lasts."""
    incident = within(since, module, incidents)
    return since if incident is None else incident.until
