"""`unlicensed`: the module itself has reported for days that it has no valid license."""

from warehouse.licensing import facts
from warehouse.licensing.facts import Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, span
from warehouse.licensing.incidents import since_incidents


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the present run of `unlicensed` and `invalid`."""
    return reported(install, terms, facts.UNLICENSED, terms.thresholds.unlicensed_days)


def reported(install: Install, terms: Terms, statuses: frozenset[str], least: int) -> Finding | None:
    """Return a finding if the present run of these statuses lasts at least `least` days, incidents left out."""
    run = facts.present_run(install, statuses)
    since = since_incidents(run[0].since, install.module, terms.incidents) if run else None
    if since is None or facts.days(since, run[-1].until) < least:
        return None
    until = run[-1].until
    said = " or ".join(dict.fromkeys(each.status for each in run if each.until >= since))
    text = f"the module itself reported {said} {span(since, until)}, without a break between reports"
    return Finding(since, until, (Piece(text, "claimed"),))


UNLICENSED = Rule(
    "unlicensed",
    "critical",
    "The module has reported for days that it has no valid license.",
    (
        "an outage of the vendor's license server",
        "a new customer who has not entered the key yet",
        "a license that is bound to the old address or domain of a server that moved",
        "a firewall that blocks the license check",
        "a developer's machine, or a test system that nobody uses",
    ),
    find,
    guarded=True,
)
