"""What cases are called on pages and in files: states, grades, rules, subjects, times."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from dash import dcc, html

from dashboard.formatting import day, moment
from warehouse.cases.listing import CLEARED
from warehouse.cases.revisions import CLOSED
from warehouse.cases.subjects import Subject

STATES = {
    "open": "Open",
    "disputed": "Disputed",
    "contacted": "Contacted",
    "watching": "Watching",
    "resolved": "Resolved",
    "dismissed": "Dismissed",
    "cleared": "Cleared",
}
SEVERITIES = {"critical": "Critical", "warning": "Warning", "notice": "Notice"}
# What each grade rests on.
GRADES = {"recorded": "Recorded by us", "registry": "Registry", "claimed": "Self-reported"}
GRADE_HINTS = {
    "recorded": "Pharos saw it itself",
    "registry": "the vendor's license registry says so",
    "claimed": "the module or an import says so",
}


def grades(of: Iterable[str] = GRADES) -> str:
    """What these grades of evidence mean, as a sentence."""
    return f"{'; '.join(f'{GRADES[one]}: {GRADE_HINTS[one]}' for one in of if one in GRADES)}."


# What the states mean that a case also has when nobody chose them.
STATE_HINTS = {
    "disputed": "the server's owner says otherwise, and the flag is paused; or a colleague chose it, which pauses none",
    "cleared": "no flag holds any more, and nobody had done anything about it",
}


def states() -> str:
    """What the states mean that a case also has when nobody chose them, and which cases are closed, as sentences."""
    closed = ", ".join(text.lower() for state, text in STATES.items() if state in {*CLOSED, CLEARED})
    return f"{'; '.join(f'{STATES[one]}: {text}' for one, text in STATE_HINTS.items())}. Closed cases are: {closed}."


def spelled(evidence: str) -> str:
    """The evidence of a flag as one text, with the names of the grades that people read."""
    return re.sub(rf"\(({'|'.join(GRADES)})\)", lambda found: f"({GRADES[found[1]].lower()})", evidence)


def rule(name: str) -> str:
    """`Shared key`."""
    return name.replace("_", " ").capitalize()


def subject(one: Subject) -> str:
    """`Install 01234567`: the first half of a pseudonym is enough to tell cases apart."""
    return f"{one.kind.capitalize()} {one.key or one.install:016x}"[: len(one.kind) + 9]


def time(at: datetime, *, seconds: bool) -> str:
    """A time as a page shows it: to the hour, or where k is 1 to the minute."""
    return moment(at) if seconds else f"{day(at.date())}, {at:%H}:00 UTC"


def badge(text: str, kind: str = "") -> html.Span:
    """A word in a box."""
    return html.Span(text, className=f"badge {kind}".strip())


def options(known: dict[str, str], chosen: str, first: str = "") -> list[html.Option]:
    """The options of a select. `first` is what the empty value means, if there is one."""
    given: list[tuple[str, str]] = [("", first)] if first else []
    return [
        html.Option(label, value=value, **({"selected": True} if value == chosen else {}))
        for value, label in [*given, *known.items()]
    ]


def select(name: str, label: str, choices: list[html.Option]) -> html.Label:
    """A select with its label."""
    return html.Label([html.Span(label), html.Select(choices, name=name)], className="field")


def hidden(**values: Any) -> list[Any]:
    """Hidden fields of a form."""
    return [dcc.Input(type="hidden", name=name, value=str(value)) for name, value in values.items()]
