"""`unknown_key`: an install claims a license with a key that the module's registry does not know."""

from warehouse.licensing import facts
from warehouse.licensing.facts import LICENSED, Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, reported, span


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the present stretch of reports with unknown keys. The key may change from report to report."""
    if install.module not in terms.modules:
        return None
    found = []
    for run in reversed(facts.present_run(install, LICENSED)):
        if not run.key or terms.registry.get(run.key):
            break
        found.append(run)
    if not found or facts.days(found[-1].since, found[0].until) < terms.thresholds.unknown_key_days:
        return None
    since, until, grade = reported(found[::-1], terms.thresholds.unknown_key_days)
    several = len({run.key for run in found}) > 1
    keys = "keys that change" if several else "a license key"
    return Finding(
        since,
        until,
        (
            Piece(f"the install sent {keys} {span(since, until)}", grade),
            Piece(
                f"the registry of {install.module} had {'none of them' if several else 'no such key'} then", "registry"
            ),
        ),
    )


UNKNOWN_KEY = Rule(
    "unknown_key",
    "critical",
    "The install claims a license with a key that the module's registry does not know.",
    (
        "a key that was sold and is not in the registry yet",
        "a reseller whose keys the registry does not list",
        "a key that the module sends in another spelling than the registry has, such as in capitals",
    ),
    find,
)
