"""`dead_key`: an install claims a license with a key that the vendor has revoked, suspended or let expire."""

from datetime import timedelta

from warehouse.licensing import facts
from warehouse.licensing.facts import Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, received, span
from warehouse.licensing.rules.unknown_key import LICENSED


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the latest key, if the registry knows it for this module."""
    run = facts.present_run(install, LICENSED)
    known = terms.known(install.module, run[-1].key) if run else None
    dead = known.dead(terms.now) if known else None
    if dead is None:
        return None
    state, died = dead
    limits = terms.thresholds
    grace = limits.expired_key_days if state == "expired" else limits.dead_key_days
    until = run[-1].until
    if until < died + timedelta(days=grace):
        return None
    since = max(died, next(each.since for each in run if each.key == run[-1].key))
    said = f"was {state} when the registry first had it" if died == facts.EVER else f"is {state} since {died:%Y-%m-%d}"
    return Finding(
        since,
        until,
        (
            Piece(f"the install claimed a license with this key {span(since, until)}", received(install)),
            Piece(f"the key {said}", "registry"),
        ),
    )


DEAD_KEY = Rule(
    "dead_key",
    "critical",
    "The install claims a license with a key that is revoked, suspended or expired in the registry.",
    ("a renewal that the registry does not have yet", "a module that checks its license seldom"),
    find,
)
