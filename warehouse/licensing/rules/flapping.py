"""`flapping`: the reported license comes and goes."""

from datetime import timedelta
from itertools import pairwise

from warehouse.licensing import facts
from warehouse.licensing.facts import AWAY, Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, span
from warehouse.licensing.incidents import within


def find(install: Install, terms: Terms) -> Finding | None:
    """Count the changes between licensed and not licensed, those in an incident left out."""
    limits, after = terms.thresholds, terms.now - timedelta(days=terms.thresholds.flapping_days)
    known = [run for run in install.runs if run.status != facts.UNKNOWN]
    changes = [
        run.since
        for before, run in pairwise(known)
        if (before.status in AWAY) != (run.status in AWAY)
        and run.since > after
        and not within(run.since, install.module, terms.incidents)
    ]
    if len(changes) < limits.flapping_changes:
        return None
    text = f"the reported license came and went at least {limits.flapping_changes} times in {limits.flapping_days} days"
    since, until = changes[0], changes[-1]
    return Finding(since, until, (Piece(f"{text}, {span(since, until)}", "claimed"),))


FLAPPING = Rule(
    "flapping",
    "warning",
    "The reported license comes and goes.",
    (
        "a license check that often times out",
        "an outage of the vendor's license server, now and then",
        "a key that is entered and removed for a test",
        "a restored backup",
    ),
    find,
    guarded=True,
    windowed=True,
)
