"""How fresh the figures of a page are, and why they are late: a reader must not mistake missing data for a drop."""

from datetime import UTC, date, datetime
from typing import Any

from dash import Output, dcc, html

from dashboard.data_source import DataSource
from dashboard.formatting import day, duration, moment, plural
from dashboard.messages import warning
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill
from warehouse.engine import EngineError
from warehouse.queries.health import LATE, Loader
from warehouse.queries.metrics import QueryError

MOST_NAMED = 3
ASK_QUESTIONS = ("overview", "feature", "versions", "drop")  # pages with cards that mode strict changes


def register(callbacks: Callbacks, page: Page, data: DataSource, trigger: Any) -> None:
    """Fill `<page>-fresh` and `<page>-notice` of the page's heading."""
    outputs = [Output(f"{page.name}-fresh", "children"), Output(f"{page.name}-notice", "children")]

    @fill(callbacks, page, f"{page.name}-freshness", outputs, trigger, content=False)
    def freshness(trigger: Any) -> tuple[Any, Any]:
        try:
            return describe(data, page, _begin(data, trigger) if page.reported else None)
        except EngineError:
            return "", ""  # the message of the page's own region says so


def _begin(data: DataSource, search: str) -> date | None:
    """The day of the first beacon ever, if the range of an address begins before it."""
    try:
        chosen = data.chosen(search)
    except QueryError:
        return None  # the page's own region says so
    first = data.first_day()
    return first if first and chosen.start < first else None


def describe(data: DataSource, page: Page, begin: date | None) -> tuple[Any, Any]:
    """The time up to which beacons are counted, and a notice when that is too long ago. Raises `EngineError`.

    `begin` is the day with which the data begin, where a reader would take it for an earlier one. A page of
    the usage plane also says if its figures are rounded, or those of some cards as in mode strict.
    """
    now = datetime.now(UTC)
    fresh_to = data.fresh_to()
    if fresh_to is None:
        return "", stale(None, [], now)
    time = datetime.fromisoformat(fresh_to)
    since = f"from {day(begin)} " if begin else ""
    told: Any = f"Data {since}up to {moment(fresh_to)}"
    if page.of_usage and data.rounded:
        told += f" · installs in multiples of {data.k}"
    elif is_strict(data, page):
        told = [f"{told} · ", dcc.Link("strict: some cards count fewer installs", href="/glossary#term-strict")]
    return told, stale(time, data.loaders(), now) if now - time > LATE else ""


def is_strict(data: DataSource, page: Page) -> bool:
    """Whether some cards of the page leave out installs that others count."""
    return page.name in ASK_QUESTIONS and data.established


def stale(fresh_to: datetime | None, loaders: list[Loader], now: datetime) -> html.Div:
    """The notice that recent beacons are not counted yet, and why."""
    if fresh_to is None:
        return warning(
            "No loader has reported in the last 7 days",
            [html.P("Beacons are accepted and stored. They are counted once a loader runs.")],
        )
    late = [loader for loader in loaders if loader.late(now)]
    more = [html.P(f"{plural(len(late) - MOST_NAMED, 'more loader')} are late.")] if len(late) > MOST_NAMED else []
    return warning(
        f"Beacons received after {moment(fresh_to)} are not all counted yet ({duration(now - fresh_to)})",
        [
            *(html.P(f"Loader {loader.id} {why(loader, now)}.") for loader in late[:MOST_NAMED]),
            *more,
            html.P("They are stored and will be counted. Until then, a drop at the end of a line may not be real."),
        ],
    )


def why(loader: Loader, now: datetime) -> str:
    """Why a loader is late: a predicate for the subject "Loader"."""
    if loader.silent(now):
        trouble = f". Its last error: {loader.trouble}" if loader.trouble else ""
        return (
            f"last reported on {moment(loader.written)} ({duration(now - loader.written)} ago): it is stopped or "
            f"cannot reach ClickHouse{trouble}"
        )
    if loader.trouble:
        since = loader.trouble_since or loader.written
        return f"has failed to load since {moment(since)} ({duration(now - since)}): {loader.trouble}"
    return "is catching up"
