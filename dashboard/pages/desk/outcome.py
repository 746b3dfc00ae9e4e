"""What became of an action, told on the page that follows it. Pure."""

import re
from typing import Any
from urllib.parse import parse_qs

from dash import html

from dashboard.case_words import hidden
from dashboard.formatting import plural
from dashboard.login import csrf_token


def outcome(search: str | None, back: str = "") -> Any:
    """The notice after an action, with a button that undoes it; "" without one. `back` is a case's name."""
    given = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    verb = "undone" if "undone" in given else "done"
    done, lost, undo = given.get(verb, ""), given.get("lost", "0"), given.get("undo", "")
    if not done.isdigit() or not lost.isdigit() or len(done) > 4 or len(lost) > 4:
        return ""
    cases = plural(int(done), "case")
    texts = [f"{cases} changed." if verb == "done" else f"Undone: {cases}."]
    if int(lost):
        texts.append(f"{plural(int(lost), 'case')} not: a colleague was faster. Look at them again.")
    undoing = []
    if re.fullmatch(r"[0-9a-f]{16}", undo):
        undoing = [
            html.Form(
                [
                    *hidden(token=csrf_token(), change=undo, back=back),
                    html.Button("Undo", type="submit", className="button quiet"),
                ],
                action="/licensing/undo",
                method="post",
            )
        ]
    return html.Div([html.Span(" ".join(texts)), *undoing], className="outcome")
