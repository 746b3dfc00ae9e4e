"""What happened: reports, flags, the owner's statements, incidents, and what colleagues did. Newest first. Pure."""

from datetime import datetime
from typing import Any

from dash import html

from dashboard.case_words import STATES, badge, time
from dashboard.casework import Opened
from warehouse.cases.revisions import UNDONE, Revision

KINDS = {"report": "Report", "flag": "Flag", "statement": "Owner", "incident": "Incident", "colleague": "Colleague"}


def timeline(opened: Opened, *, seconds: bool) -> html.Section:
    """A line for each event."""
    many = len(opened.dossier.installs) > 1
    lines: list[tuple[datetime, int, str, list[Any]]] = [
        (
            event.at, 0, event.kind,
            [event.text, html.Span(f" Install {event.install:016x}"[:17], className="dim")]
            if many and event.install else [event.text],
        )
        for event in opened.dossier.events
    ]  # fmt: skip
    before: Revision | None = None
    for made in opened.revisions:
        lines.append((made.at, made.revision, "colleague", _told(made, before)))
        before = made
    lines.sort(key=lambda line: line[:2], reverse=True)
    items = [
        html.Li(
            [
                html.Time(time(at, seconds=seconds), className="number dim"),
                badge(KINDS[kind], f"kind-{kind}"),
                html.Div(content),
            ]
        )
        for at, _, kind, content in lines
    ]
    missing = (
        [html.P("Reports are missing here: they cannot be read.", className="card-note")]
        if opened.dossier.unreadable
        else []
    )
    return html.Section(
        [html.H2("Timeline"), html.Ol(items, className="timeline"), *missing],
        className="card",
        **{"aria-label": "Timeline"},
    )


def _told(made: Revision, before: Revision | None) -> list[Any]:
    texts = []
    if made.action == UNDONE:
        texts.append("took the last change back")
    if made.state != (before.state if before else "open"):
        texts.append(f"state {STATES[made.state].lower()}")
    if made.assignee != (before.assignee if before else ""):
        texts.append(f"assigned to {made.assignee or 'nobody'}")
    if made.note:
        texts.append("wrote a note")
    said = f"{made.who}: {', '.join(texts) or 'looked, and left it as it was'}"
    return [said, *([html.P(made.note, className="note")] if made.note else [])]
