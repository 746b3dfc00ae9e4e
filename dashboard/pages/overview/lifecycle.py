"""The installs that were new, came back, stayed or were lost in the last whole week, beside the week before."""

from datetime import date, timedelta
from typing import Any

from dash import html

from dashboard import filters
from dashboard.cards import FigureText, figure_card, figure_outputs, figure_values
from dashboard.data_source import DataSource
from dashboard.filters import DAY, Filters
from dashboard.formatting import count, days
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.tables import NOTHING
from dashboard.weekly import after_whole_weeks

CARDS = {"new": "New installs", "returning": "Active before, too", "resurrected": "Came back", "lost": "Lost installs"}

# Which report filters hold for. In other figures of the page it is the latest one of the range.
BY_LATEST = ", by the latest report of a week"


def layout() -> html.Div:
    """The cards without their figures."""
    cards = html.Dl([figure_card(f"week-{name}", label, name) for name, label in CARDS.items()], className="figures")
    return html.Div(region("lifecycle", cards), id="lifecycle")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the cards."""

    @fill(callbacks, page, "lifecycle", figure_outputs(*(f"week-{name}" for name in CARDS)), search)
    def lifecycle(search: str) -> Instead | tuple[str, ...]:
        chosen = data.chosen(search)
        if not data.total(chosen.args()):
            return NOTHING
        weeks = last_weeks(data, chosen)
        met = BY_LATEST if chosen.conditions else ""
        return figure_values(*(_figure(weeks, name, data.k, met) for name in CARDS))


def last_weeks(data: DataSource, chosen: Filters) -> list[dict[str, Any]]:
    """The last two whole weeks of the range's end, the last one last. Raises `QueryError` and `EngineError`."""
    end = after_whole_weeks(chosen, filters.today())
    span = {"from": (end - timedelta(weeks=2)).isoformat(), "to": (end - DAY).isoformat(), "grain": "week"}
    rows: list[dict[str, Any]] = data.question("lifecycle", chosen.args() | span)["rows"]
    return rows


def _figure(weeks: list[dict[str, Any]], name: str, k: int, met: str = "") -> FigureText:
    """The text of a card. `met` says of a number how filters hold for its installs."""
    last, before = weeks[-1], weeks[-2]
    start = date.fromisoformat(last["bucket"])
    week = days(start, start + timedelta(days=6))
    if last[name] is None:
        return FigureText("–", f"not told, {week}" if k > 1 else week)
    then = "" if before[name] is None else f"; {count(before[name])} the week before"
    return FigureText(count(last[name]), f"{week}{met}{then}")
