"""`unauthorized_source`: the license comes from a source that the catalog does not declare."""

from warehouse.licensing import facts
from warehouse.licensing.facts import LICENSED, Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, span


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the latest source of an install that claims a license, if the catalog declares sources."""
    run = facts.present_run(install, LICENSED)
    if terms.sources is None or not run or not run[-1].source or run[-1].source in terms.sources:
        return None
    foreign = []
    for each in reversed(run):
        if not each.source or each.source in terms.sources:
            break
        foreign.append(each)
    since, until = foreign[-1].since, foreign[0].until
    sources = " or ".join(dict.fromkeys(each.source for each in reversed(foreign)))
    return Finding(
        since,
        until,
        (
            Piece(f"the module named {sources} as the source of its license {span(since, until)}", "claimed"),
            Piece("the catalog declared no such source then", "registry"),
        ),
    )


UNAUTHORIZED_SOURCE = Rule(
    "unauthorized_source",
    "critical",
    "The license comes from a source that the catalog does not declare.",
    ("a new reseller that the catalog does not have yet", "a source that was renamed in a new version"),
    find,
)
