"""Incidents of the vendor: when many installs of a module turn from licensed at once, none of them is to blame. Pure.

A license server that is down makes innocent modules report `unlicensed`: many at once, or one after the other, as their
local keys run out. What began in an incident raises no flag while it lasts, and counts anew from its end.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from core.thresholds import Thresholds
from warehouse.licensing.facts import Incident

# Turns have no time but their day: any 24 hours lie within two days.
WINDOW = timedelta(days=2)
# Local keys run out within two weeks or so. If more than half of a module turn in that time, it is not the customers.
SLOW_WINDOW = timedelta(days=21)
SLOW_SHARE = 0.5
SLOW_INSTALLS = 3
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
        at_once = _apart(ordered, WINDOW, least, partial(_incident, module, total, thresholds))
        rest = [turn for turn in ordered if within(turn.at, module, at_once) is None]
        most = max(SLOW_INSTALLS, int(total * SLOW_SHARE) + 1)
        found += at_once + _apart(rest, SLOW_WINDOW, most, partial(_incident, module, total, thresholds, slow=True))
    return found


def _apart(
    ordered: Sequence[Turn], width: timedelta, least: int, incident: Callable[[Sequence[Turn]], Incident]
) -> list[Incident]:
    """Return the incidents of `least` installs within `width`, each of which begins after the one before has ended."""
    found: list[Incident] = []
    there: Counter[int] = Counter()  # the installs of the turns from `first` to `end`
    end = 0
    for first, turn in enumerate(ordered):
        while end < len(ordered) and ordered[end].at < turn.at + width:
            there[ordered[end].install] += 1
            end += 1
        if len(there) >= least and (not found or (found[-1].until and turn.at > found[-1].until)):
            found.append(incident(ordered[first:end]))
        there[turn.install] -= 1
        if not there[turn.install]:
            del there[turn.install]
    return found


def _incident(
    module: str, total: int, thresholds: Thresholds, window: Sequence[Turn], *, slow: bool = False
) -> Incident:
    since, last = window[0].at, window[-1].at
    returns = sorted(turn.back for turn in window if turn.back is not None)
    enough = int(len(window) * (1 - AWAY_SHARE)) + 1
    until = max(returns[enough - 1], last) + END_OF_DAY if len(returns) >= enough else None
    affected = len({turn.install for turn in window})
    found = Incident(module, since, until, affected, max(total, affected), last if slow else None)
    return replace(found, until=min(until, _longest(found, thresholds))) if until else found


def _longest(incident: Incident, thresholds: Thresholds) -> datetime:
    """Return until when an incident lasts at most. A slow one has begun when its last install has turned."""
    return (incident.last or incident.since) + timedelta(days=thresholds.incident_days)


def ended(incident: Incident, now: datetime, thresholds: Thresholds) -> Incident:
    """Return the incident, over if it has lasted for as long as one may."""
    longest = _longest(incident, thresholds)
    return replace(incident, until=longest) if incident.until is None and longest <= now else incident


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
    """Return from when a run counts: from the end of the incident in which it began; None while that lasts.

    If another incident is under way then, from the end of that one.
    """
    for incident in sorted(incidents, key=lambda one: one.since):
        if within(since, module, [incident]):
            if incident.until is None:
                return None
            since = incident.until
    return since
