"""`wrong_module`: an install claims a license with a key that was sold for another module."""

from warehouse.licensing import facts
from warehouse.licensing.facts import LICENSED, Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, reported, span


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the latest key, if the registry knows it for other modules only."""
    run = facts.present_run(install, LICENSED)
    modules = terms.registry.get(run[-1].key, {}) if run and run[-1].key else {}
    if not modules or install.module in modules:
        return None
    found = run[next(place for place, each in enumerate(run) if each.key == run[-1].key) :]
    if facts.days(found[0].since, found[-1].until) < terms.thresholds.unknown_key_days:
        return None
    since, until, grade = reported(found, terms.thresholds.unknown_key_days)
    return Finding(
        since,
        until,
        (
            Piece(
                f"the install claimed a license of {install.module} with this key {span(since, until)}",
                grade,
            ),
            Piece(f"the registry had the key only for {', '.join(sorted(modules))} then", "registry"),
        ),
    )


WRONG_MODULE = Rule(
    "wrong_module",
    "critical",
    "The install claims a license with a key that the registry has for another module.",
    ("a bundle that the registry lists under one module", "a module that was renamed", "a key in the wrong field"),
    find,
)
