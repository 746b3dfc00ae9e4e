"""The table of cases: a row each, which on a phone is a card. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import dcc, html

from dashboard import mantine as dmc
from dashboard.case_words import GRADES, SEVERITIES, STATES, badge, hidden, options, rule, select, subject
from dashboard.formatting import day, plural
from dashboard.login import csrf_token
from dashboard.pages.desk.choices import address
from dashboard.regions import HIDDEN
from dashboard.static_html import static
from warehouse.cases.listing import DEFAULT_LIMIT as PAGE_ROWS
from warehouse.cases.listing import Case, Total
from warehouse.cases.revisions import STATES as STORED
from warehouse.cases.subjects import Subject

COLUMNS = (
    "Case",
    "Why",
    "Grade",
    "Severity",
    "Installs in question",
    "Reported for at least",
    "Last report",
    "State",
    "Assigned",
    "Changed",
)


def told(total: Total, given: Mapping[str, str]) -> str:
    """What the list holds, in cases, installs and keys."""
    if not total.cases:
        return ""
    verb = "is" if total.keys == 1 else "are"
    keys = f" {plural(total.keys, 'case')} {verb} about a key that several installs share." if total.keys else ""
    scope = ("that matches" if total.cases == 1 else "that match") if given else "not closed"
    return f"{plural(total.cases, 'case')} {scope}, {plural(total.installs, 'install')} in question.{keys}"


def table(cases: Sequence[Case], seen: datetime | None, last: Mapping[Subject, datetime]) -> html.Table:
    """The rows. Cases whose flag was raised after `seen` are new. `last` is the last report of each case."""
    head = [html.Th(html.Span("Choose", className="visually-hidden")), *(html.Th(name) for name in COLUMNS)]
    rows = [_row(case, seen, last.get(case.subject)) for case in cases]
    return html.Table([html.Thead(html.Tr(head)), html.Tbody(rows)], className="cases")


def _row(case: Case, seen: datetime | None, last: datetime | None) -> html.Tr:
    name = subject(case.subject)
    held = bool(case.evidence.rules)
    marks: list[Any] = []
    if seen is not None and held and case.raised > seen:
        marks.append(badge("New", "new"))
    if case.reopened:
        marks.append(badge("Came back", "new"))
    rules = [dcc.Link(rule(one), href=address({"rule": one}), className="badge") for one in case.evidence.rules] or [
        html.Span("no flag holds", className="dim")
    ]
    at_once = held and case.evidence.reach != case.installs
    cells: dict[str, Any] = {
        "Case": [
            html.Span(
                [dcc.Link(name, href=f"/licensing/{case.subject}", className="case-name mono"), *marks],
                className="marks",
            ),
            html.Span(case.subject.module, className="dim"),
        ],
        "Why": html.Span(rules, className="marks"),
        "Grade": html.Span(GRADES.get(case.evidence.grade, "–")),
        "Severity": html.Span(SEVERITIES.get(case.severity, "–"), className=f"severity-{case.severity}"),
        "Installs in question": [
            html.Span(str(case.installs) if held else "–", className="number"),
            *([html.Span(f"{case.evidence.reach} at once", className="dim")] if at_once else []),
        ],
        "Reported for at least": html.Span(plural(case.days, "day") if held else "–", className="number"),
        "Last report": html.Span(day(last.date()) if last else "–", className="number"),
        "State": badge(STATES[case.state], f"state-{case.state}"),
        "Assigned": case.assignee or html.Span("nobody", className="dim"),
        "Changed": html.Span(day(case.touched.date()), className="number"),
    }
    choose = dmc.Checkbox(
        value=f"{case.subject}:{case.revision}", size="sm", **{"aria-label": f"Choose {name} of {case.subject.module}"}
    )
    return html.Tr(
        [
            html.Td(choose, className="choose"),
            *(static(html.Td(content, **{"data-label": label})) for label, content in cells.items()),
        ]
    )


def pages(cases: int, number: int, given: Mapping[str, str]) -> list[Any]:
    """The links to the page before and after."""
    last = max(1, -(-cases // PAGE_ROWS))
    if last == 1:
        return []

    def link(text: str, to: int) -> Any:
        return dcc.Link(text, href=address({**given, "page": to if to > 1 else ""}), className="choice")

    return [
        *([link("Previous", number - 1)] if number > 1 else []),
        html.Span(f"Page {number} of {last}", className="dim"),
        *([link("Next", number + 1)] if number < last else []),
    ]


def bulk() -> html.Form:
    """The form that decides about all chosen cases, without its `fields`. It stays when the list is empty."""
    return html.Form(
        [
            dcc.Input(type="hidden", name="cases", id="desk-cases", value=""),
            html.Div(id="desk-fields", style={"display": "contents"}),
            html.Button(
                "Change chosen cases", id="desk-change", type="submit", className="button", disabled=True,
                title="Choose cases first",
            ),
        ],
        id="desk-bulk",
        style=HIDDEN,
        action="/licensing/decide",
        method="post",
        className="case-form",
        **{"aria-label": "Change the chosen cases"},
    )  # fmt: skip


def fields(back: str, people: Sequence[str]) -> list[Any]:
    """The fields of the form. `back` is the query of the list."""
    return [
        *hidden(token=csrf_token(), back=back),
        select("state", "State", options({name: STATES[name] for name in STORED}, "", "no change")),
        select("assignee", "Assign to", options({"-": "nobody", **{name: name for name in people}}, "", "no change")),
        html.Label([html.Span("Note"), html.Textarea(name="note", rows=1, maxLength=2000)], className="field wide"),
    ]
