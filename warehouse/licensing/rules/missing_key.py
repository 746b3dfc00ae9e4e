"""`missing_key`: an install claims a license without a key, where nearly all installs of its version send one."""

from warehouse.licensing import facts
from warehouse.licensing.facts import LICENSED, Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, reported, span


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the present stretch of licensed reports without a key."""
    limits, cohort = terms.thresholds, terms.cohorts.get((install.module, install.version))
    if cohort is None or cohort.installs < limits.missing_key_installs:
        return None
    if cohort.with_key * 100 < cohort.installs * limits.missing_key_percent:
        return None
    found = []
    for run in reversed(facts.present_run(install, LICENSED)):
        if run.key:
            break
        found.append(run)
    if not found or facts.days(found[-1].since, found[0].until) < limits.missing_key_days:
        return None
    since, until, grade = reported(found[::-1], limits.missing_key_days)
    return Finding(
        since,
        until,
        (
            Piece(f"the install claimed a license and sent no key {span(since, until)}", grade),
            Piece(
                f"at least {limits.missing_key_percent}% of the installs of version {install.version} sent one then",
                grade,
            ),
        ),
    )


MISSING_KEY = Rule(
    "missing_key",
    "warning",
    "The install claims a license without a key, where nearly all installs of its version send one.",
    ("a license without a key, such as a bundle", "a key that the module cannot read after a migration"),
    find,
)
