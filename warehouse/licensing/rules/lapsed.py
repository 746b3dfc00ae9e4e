"""`lapsed`: the module has reported for weeks that its license is expired or suspended."""

from warehouse.licensing import facts
from warehouse.licensing.facts import Install, Terms
from warehouse.licensing.findings import Finding, Rule
from warehouse.licensing.rules.unlicensed import reported


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the present run of `expired` and `suspended`."""
    return reported(install, terms, facts.LAPSED, terms.thresholds.lapsed_days)


LAPSED = Rule(
    "lapsed",
    "warning",
    "The module has reported for weeks that its license ran out or was suspended.",
    (
        "a renewal under way",
        "an invoice in dispute",
        "a customer who left and has not removed the module",
        "an outage of the vendor's license server",
        "a restored backup or a test copy with an old license",
    ),
    find,
    guarded=True,
)
