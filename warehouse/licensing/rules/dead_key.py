"""`dead_key`: an install claims a license with a key that the vendor has revoked, suspended or let expire."""

from datetime import datetime, timedelta

from warehouse.licensing import facts
from warehouse.licensing.facts import LICENSED, Install, Registered, Terms
from warehouse.licensing.findings import Finding, Grade, Piece, Rule, span

# How the evidence of a key ends that the registry first knew as dead.
UNDATED = "is not known"


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the latest key, if the registry knows it for this module."""
    run = facts.present_run(install, LICENSED)
    known = terms.known(install.module, run[-1].key) if run else None
    dead = known.dead(terms.now) if known else None
    if known is None or dead is None:
        return None
    state, died = dead
    limits = terms.thresholds
    grace = limits.expired_key_days if state == "expired" else limits.dead_key_days
    begun, until = next(each.since for each in run if each.key == run[-1].key), run[-1].until
    grade: Grade = "claimed"
    late = died + timedelta(days=grace)
    if until < late:
        return None
    received = [each.received for each in run if each.key == run[-1].key and each.received]
    if received and received[-1][1] >= late:
        begun, until, grade = received[0][0], received[-1][1], "recorded"
    since = max(died, begun)
    return Finding(
        since,
        until,
        (
            Piece(f"the install claimed a license with this key {span(since, until)}", grade),
            Piece(_told(known, died), "registry"),
        ),
    )


def _told(known: Registered, died: datetime) -> str:
    """Return in words how the registry says that a key died, with the dates that are known."""
    if (last := known.now.valid_until) and died.date() > last:
        return f"the registry had the key as valid until {last}"
    entry = next(each for each in known.entries if each.changed >= died)
    if died == facts.EVER:
        return (
            f"the registry imported on {entry.changed:%Y-%m-%d} had the key as {entry.state}: since when it was "
            f"{entry.state} {UNDATED}"
        )
    return f"the registry had the key as {entry.state} since the import of {entry.changed:%Y-%m-%d}"


DEAD_KEY = Rule(
    "dead_key",
    "critical",
    "The install claims a license with a key that is revoked, suspended or expired in the registry.",
    (
        "a renewal that the registry does not have yet",
        "a module that checks its license seldom",
        "a customer with a new key whose server, or a restored backup of it, still has the old one",
    ),
    find,
)
