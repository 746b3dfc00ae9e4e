"""How the webhook does: what waits, what failed, and a button that tries the way. Pure."""

from datetime import UTC, datetime
from typing import Any

from dash import html

from core.outbox import Told
from dashboard.case_words import hidden
from dashboard.formatting import moment, plural
from dashboard.login import csrf_token


def outside(told: Told) -> html.Section:
    """The line about the webhook, with its button."""
    taken = f"the last was taken {moment(datetime.fromtimestamp(told.delivered, UTC))}" if told.delivered else ""
    oldest = f", the oldest since {moment(datetime.fromtimestamp(told.oldest, UTC))}" if told.oldest else ""
    texts = [f"{plural(told.waiting, 'event')} to send{oldest}", *([taken] if taken else [])]
    line: list[Any] = [f"Webhook: {', '.join(texts)}."]
    if told.trouble:
        line.append(html.Strong(f" The receiver did not take an event: {told.trouble}. It is sent again for a day."))
    form = html.Form(
        [*hidden(token=csrf_token()), html.Button("Send a test event", type="submit", className="button quiet")],
        action="/licensing/webhook-test",
        method="post",
    )
    return html.Section(
        [html.P(line, className="card-note"), form], className="card webhook", **{"aria-label": "Webhook"}
    )
