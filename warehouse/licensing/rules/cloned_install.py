"""`cloned_install`: one install id on several servers at once."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from core.thresholds import Thresholds
from warehouse.licensing.facts import Install, Terms
from warehouse.licensing.findings import Finding, Grade, Piece, Rule, span


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the days on which the install reported from several recurring networks."""
    found = _clones(install.received, terms.thresholds)
    grade: Grade = "recorded" if found else "claimed"
    found = found or _clones(install.networks, terms.thresholds)
    if not found:
        return None
    since, until = (datetime.combine(day, time(), UTC) for day in (min(found), max(found)))
    return Finding(
        since,
        until,
        (
            Piece(
                f"one install id reported from at least {terms.thresholds.cloned_networks} networks on the same day, "
                f"on at least {terms.thresholds.cloned_days} days {span(since, until)}",
                grade,
            ),
        ),
        reach=max(found.values()),
    )


def _clones(seen: Mapping[date, frozenset[int]], limits: Thresholds) -> dict[date, int]:
    """Return the days with several recurring networks, and how many each of them has; none if they are too few."""
    times = Counter(network for networks in seen.values() for network in networks)
    recurring = {network for network, number in times.items() if number >= min(limits.cloned_days, 2)}
    days = {day: len(networks & recurring) for day, networks in seen.items()}
    many = {day: number for day, number in days.items() if number >= limits.cloned_networks}
    return many if len(many) >= limits.cloned_days else {}


CLONED_INSTALL = Rule(
    "cloned_install",
    "critical",
    "One install id reports from several networks on the same day, again and again.",
    (
        "a server with several uplinks that takes turns",
        "a cluster of one customer that shares its database",
        "a restored backup or a test copy that runs beside the original",
    ),
    find,
    windowed=True,
)
