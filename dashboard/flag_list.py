"""The card of the licensing page with the flags: each with its evidence, and with innocent explanations."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from dashboard.case_words import GRADES
from dashboard.formatting import plural
from dashboard.regions import region

# The list is plain HTML. The read API has all flags.
MOST = 100
_ORDER = {"critical": 0, "warning": 1, "notice": 2}

Row = dict[str, Any]


def flags_card() -> html.Section:
    """The card; its region is `licensing-flags`, its content `licensing-incidents` and `licensing-flag-list`."""
    return html.Section(
        [
            html.Div(html.H2("Flags", id="licensing-flags-title"), className="card-head"),
            *region(
                "licensing-flags",
                # Each flag is a Tab stop.
                html.A("Skip to the table of installs", href="#licensing-table", className="skip"),
                html.Ul(id="licensing-incidents", className="incidents"),
                html.Ul(id="licensing-flag-list", className="flag-list"),
                html.P(id="licensing-flags-note", className="card-note"),
            ),
        ],
        className="card",
        **{"aria-labelledby": "licensing-flags-title"},
    )


def flags_content(answer: Row) -> tuple[list[html.Li], list[html.Li], str]:
    """The incidents, the flags (the worst first) and the note, from an answer of the read API."""
    flags = sorted(
        answer["flags"], key=lambda flag: (flag["state"] == "disputed", _ORDER[flag["severity"]], -flag["installs"])
    )
    shown = flags[:MOST]
    least = "More than " if "next_cursor" in answer else ""
    count = f"{least}{plural(len(flags), 'flag')} of {plural(answer['installs'], 'install')}"
    more = bool(least) or len(flags) > len(shown)
    note = f"{count}{'; the list shows a part of them, the read API all' if more else ''}. A flag is not a verdict."
    return [_incident(each) for each in answer["incidents"]], [_flag(flag) for flag in shown], note


def _incident(incident: Row) -> html.Li:
    until = f" to {incident['until']}" if incident["until"] else ", and it lasts"
    said = f"{incident['affected']} of {incident['installs']} installs turned from licensed"
    return html.Li(f"Incident of {incident['module']}, {incident['since']}{until}: {said}. It raises no flags.")


def _flag(flag: Row) -> html.Li:
    subject = f"key {flag['key']}" if flag["key"] else f"install {flag['id']}"
    reach = f", {plural(flag['installs'], 'install')} in question" if flag["installs"] > 1 else ""
    disputed = [html.Span("disputed", className="badge")] if flag["state"] == "disputed" else []
    head = [
        html.Span(flag["severity"], className=f"badge severity-{flag['severity']}"),
        html.Strong(flag["rule"].replace("_", " ").capitalize()),
        *disputed,
        html.Span(f"{flag['module']}, {subject}{reach}, since {flag['since']}", className="flag-subject"),
    ]
    opened = html.P(dcc.Link("Open the case", href=f"/licensing/{flag['case']}"))
    return html.Li(html.Details([html.Summary(head), html.Div([_evidence(flag), _innocent(flag["innocent"])]), opened]))


def _evidence(flag: Row) -> html.Div:
    pieces = [html.Li([f"{each['text']} ", html.Em(GRADES[each["grade"]].lower())]) for each in flag["pieces"]]
    return html.Div([html.H3("Evidence"), html.Ul(pieces)])


def _innocent(explanations: Sequence[str]) -> html.Div:
    return html.Div([html.H3("What else it may be"), html.Ul([html.Li(each) for each in explanations])])
