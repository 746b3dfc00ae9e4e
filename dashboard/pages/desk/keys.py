"""The search for license keys: its form, and what is known of the keys that were entered. Pure."""

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard.case_words import hidden
from dashboard.formatting import plural
from dashboard.login import csrf_token
from warehouse.cases.keys import KnownKey
from warehouse.cases.listing import MOST_KEYS
from warehouse.licensing.states import MONTHS


def search(*, is_open: bool) -> html.Details:
    """The form. Keys go in the body of a POST: an address stays in histories and logs."""
    form = html.Form(
        [
            *hidden(token=csrf_token()),
            html.Label(
                [
                    html.Span(f"License keys from your own system, or their SHA-256: one a line, at most {MOST_KEYS}"),
                    html.Textarea(name="keys", rows=3, required=True, autoComplete="off", spellCheck="false"),
                ],
                className="field wide",
            ),
            html.Button("Find", type="submit", className="button quiet"),
        ],
        action="/licensing/find-keys",
        method="post",
        className="case-form",
    )
    why = "Shows their cases, and those of installs that have reported them. Keys are compared, and not stored."
    return html.Details([html.Summary("Find license keys"), html.P(why), form], className="card-note", open=is_open)


def found(keys: Sequence[int], known: Sequence[KnownKey]) -> html.Ol:
    """What is known of each key, in the order in which they were entered."""
    return html.Ol([html.Li(_told(key, [one for one in known if one.key == key])) for key in keys], className="keys")


def _told(key: int, known: Sequence[KnownKey]) -> list[Any]:
    texts = [
        f"{plural(one.installs, 'install')} of {one.module} reported it within {MONTHS} months; "
        f"{f'the registry says: {one.registered}' if one.registered else 'it is not in the registry'}"
        for one in known
    ]
    nothing = "no install has reported it, and it is in no registry. Keys are case-sensitive"
    return [html.Span(f"{key:016x}", className="mono"), f": {'. '.join(texts) or nothing}."]
