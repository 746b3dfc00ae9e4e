"""The head of a case, and the form that decides about it. Pure."""

from collections.abc import Sequence

from dash import dcc, html

from dashboard import mantine as dmc
from dashboard.case_words import GRADES, SEVERITIES, STATES, badge, hidden, options, select, subject
from dashboard.casework import Opened
from dashboard.formatting import day, plural
from dashboard.login import csrf_token
from warehouse.cases.revisions import MOST_NOTE
from warehouse.cases.revisions import STATES as STORED


def head(opened: Opened) -> html.Div:
    """What the case is about, its state, and why it stands where it does in the list."""
    case = opened.case
    badges = [badge(STATES[case.state], f"state-{case.state}")]
    if case.reopened:
        badges.append(badge("Came back: there is more evidence than when it was closed", "new"))
    number = case.subject.key or case.subject.install
    facts = [("Module", case.subject.module), (f"{case.subject.kind.capitalize()}, as a pseudonym", f"{number:016x}")]
    if case.evidence.rules:
        facts += [
            ("Grade", GRADES[case.evidence.grade]),
            ("Severity", SEVERITIES[case.severity]),
            ("Installs in question", str(case.installs)),
            *(
                [("Installs that used the key", opened.dossier.users)]
                if case.subject.key and not opened.dossier.unreadable
                else []
            ),
            *([("At once", f"{case.evidence.reach} installs")] if case.evidence.reach != case.installs else []),
            ("Since", day(case.since.date())),
            # What is measured now of a shared key says more, and stands in the evidence.
            *([] if opened.dossier.measured else [("Reported for at least", plural(case.days, "day"))]),
        ]
    facts.append(("Assigned to", case.assignee or "nobody"))
    return html.Div(
        [
            dcc.Link("← All cases", href="/licensing", className="back"),
            html.Div(
                [dmc.Title(f"{subject(case.subject)} of {case.subject.module}", order=1, size="h2"), *badges],
                className="marks case-title",
            ),
            html.Dl([html.Div([html.Dt(name), html.Dd(value)]) for name, value in facts], className="card facts"),
        ]
    )


def work(opened: Opened, who: str, people: Sequence[str]) -> html.Section:
    """The form. It holds the revision that its reader saw, so that nobody overwrites a colleague's decision unseen."""
    case = opened.case
    stored = {name: STATES[name] for name in STORED}
    form = html.Form(
        [
            *hidden(token=csrf_token(), one=1, cases=f"{case.subject}:{case.revision}"),
            select("state", "State", options(stored, "", f"stays {STATES[case.state].lower()}")),
            select(
                "assignee", "Assigned to",
                options({"-": "nobody", **{name: name for name in people}}, "", f"stays {case.assignee or 'nobody'}"),
            ),
            html.Label(
                [
                    html.Span(f"Note, at most {MOST_NOTE} characters: no names or addresses of customers"),
                    html.Textarea(name="note", rows=3, maxLength=MOST_NOTE),
                ],
                className="field wide",
            ),
            html.Div(
                [
                    html.Button("Save", type="submit", className="button"),
                    *(
                        [html.Button("Assign to me", type="submit", name="mine", value="1", className="button quiet")]
                        if case.assignee != who
                        else []
                    ),
                ],
                className="marks",
            ),
        ],
        action="/licensing/decide",
        method="post",
        className="case-form",
    )  # fmt: skip
    hints = [
        "Pharos knows no customer. Check a customer's license key below, write to them from your own system, and "
        "choose Contacted here.",
        "Watching: wait for more reports. Resolved: it was real and is settled. Dismissed: there is an innocent "
        "explanation. A resolved or dismissed case comes back with new evidence. Disputed: the customer disagrees. "
        "Only a statement of the server's owner pauses the flag.",
    ]
    return html.Section(
        [html.H2("Decide"), form, *(html.P(hint, className="card-note") for hint in hints)],
        className="card",
        **{"aria-label": "Decide"},
    )
