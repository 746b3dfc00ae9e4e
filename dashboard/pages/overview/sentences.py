"""What changed, in three to five sentences. Each leads to its proof."""

from datetime import date, timedelta
from typing import Any

from dash import Output, dcc, html

from dashboard import filters, messages
from dashboard.changes import Change, sentence, strongest_of_each
from dashboard.charts.series import first
from dashboard.conditions import among
from dashboard.data_source import DataSource
from dashboard.filters import DAY, Filters, before_in_words
from dashboard.formatting import count, days, plural
from dashboard.links import link
from dashboard.pages.overview import lifecycle, moves
from dashboard.permissions import Callbacks, Page
from dashboard.question_limit import ask_in_free_turns
from dashboard.regions import Instead, fill, region
from dashboard.tables import NOTHING


def layout() -> html.Section:
    """The card without sentences."""
    return html.Section(
        [
            html.Div(html.H2("What changed", id="changed-title"), className="card-head"),
            *region("changed", html.Ul(id="changed-said", className="said awaited")),
        ],
        className="card",
        **{"aria-labelledby": "changed-title"},
    )


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the card."""

    @fill(callbacks, page, "changed", [Output("changed-said", "children")], search)
    def changed(search: str) -> Instead | tuple[Any]:
        chosen = data.chosen(search)
        if not data.total(chosen.args()):
            return NOTHING
        active, week, changes = ask_in_free_turns(
            lambda: _active(data, chosen),
            lambda: _week(data, chosen, search),
            lambda: moves.read(data, chosen, search),
        )
        said = [active, week, *_moved(data, chosen, changes)]
        found = [one for one in said if one] or ["There are no complete days to compare yet."]
        return ([html.Li(one) for one in found],)


def _active(data: DataSource, chosen: Filters) -> str:
    periods = chosen.compared(filters.today())
    if periods is None:
        return ""
    period, before = periods
    now, then = (data.total(one.args()) for one in periods)
    if not now:
        return ""
    active = f"{among(chosen.conditions, plural(now, 'install'))} {_was(now)} active"
    past = period.end < filters.today() - DAY
    if past:
        active = f"{days(period.start, period.end)}: {active}"
    if not then or not data.compared(chosen):
        when = "" if past else f" in the last {plural(period.days, 'day') if period.days > 1 else 'day'}"
        return f"{active}{when}. There is nothing complete to compare with."
    than = f"{'in' if before.days >= 7 else 'on'} {before_in_words(before)}"
    if now == then:
        return f"{active}, as many as {than}."
    more = "more" if now > then else "fewer"
    percent = f"{abs(now / then - 1):.1%}"
    return f"{active}, {percent} {more} than {than} ({count(then)})."


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _week(data: DataSource, chosen: Filters, search: str) -> Any:
    """The new and the lost installs of the last whole week of the range."""
    weeks = lifecycle.last_weeks(data, chosen) if chosen.counts_once else []  # which takes no feature
    if not weeks or weeks[-1]["new"] is None or weeks[-1]["lost"] is None:
        return ""
    last = weeks[-1]
    new, lost = last["new"], last["lost"]
    start = date.fromisoformat(last["bucket"])
    is_last = start + timedelta(weeks=1) == first(filters.today(), "week")
    week = "In the last whole week" if is_last else f"In the week {days(start, start + timedelta(days=6))},"
    installs = among(chosen.conditions, plural(new, "install"))
    text = f"{week} {installs} {_was(new)} new and {count(lost)} {_was(lost)} lost"
    return [dcc.Link(text, href=f"{link('/', search)}#lifecycle"), "."]


def _moved(data: DataSource, chosen: Filters, changes: list[Change] | None) -> list[Any]:
    """One sentence each for the strongest change of the features, of the versions and of the platforms."""
    if changes is None:
        return []
    found = strongest_of_each(changes, 1)
    if not found:
        return [f"No feature, version or platform changed more than {messages.explained(data)}."]
    return [
        [dcc.Link(sentence(moves.located(data, chosen, change)), href=change.link), "."]
        for change in sorted(found, key=lambda change: -change.strength)
    ]
