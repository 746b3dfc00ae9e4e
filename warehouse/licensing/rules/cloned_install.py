"""`cloned_install`: one install id on several servers at once."""

from collections import Counter
from datetime import UTC, datetime, time

from warehouse.licensing.facts import Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, received, span


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the days on which the install reported from several recurring networks."""
    limits = terms.thresholds
    seen = Counter(network for networks in install.networks.values() for network in networks)
    recurring = {network for network, times in seen.items() if times >= min(limits.cloned_days, 2)}
    days = sorted(day for day, found in install.networks.items() if len(found & recurring) >= limits.cloned_networks)
    if len(days) < limits.cloned_days:
        return None
    networks = max(len(install.networks[day] & recurring) for day in days)
    since, until = (datetime.combine(day, time(), UTC) for day in (days[0], days[-1]))
    return Finding(
        since,
        until,
        (
            Piece(
                f"one install id reported from at least {limits.cloned_networks} networks on the same day, on at least "
                f"{limits.cloned_days} days {span(since, until)}",
                received(install),
            ),
        ),
        reach=networks,
    )


CLONED_INSTALL = Rule(
    "cloned_install",
    "critical",
    "One install id reports from several networks on the same day, again and again.",
    ("a server with several uplinks that takes turns", "a cluster of one customer that shares its database"),
    find,
    windowed=True,
)
