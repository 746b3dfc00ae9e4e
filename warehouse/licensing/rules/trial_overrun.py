"""`trial_overrun`: a trial that does not end."""

from warehouse.licensing import facts
from warehouse.licensing.facts import Install, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, span

TRIAL = frozenset({"trial"})


def find(install: Install, terms: Terms) -> Finding | None:
    """Judge the present run of `trial`."""
    run = facts.present_run(install, TRIAL)
    if not run or facts.days(run[0].since, run[-1].until) <= terms.thresholds.trial_days:
        return None
    since, until = run[0].since, run[-1].until
    text = f"the module itself reported a trial {span(since, until)}, without a break between reports"
    return Finding(since, until, (Piece(text, "claimed"),))


TRIAL_OVERRUN = Rule(
    "trial_overrun",
    "warning",
    "The module has reported a trial for longer than a trial lasts.",
    ("a trial that sales has extended", "a partner's demonstration system"),
    find,
)
