"""The figure cards of the health page: ClickHouse, lag, waiting beacons, free disk."""

from datetime import UTC, datetime
from typing import Any

from dash import html

from dashboard.cards import FigureText, figure_card, figure_outputs, figure_values
from dashboard.data_source import DataSource
from dashboard.formatting import count, duration, size
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill, region
from warehouse.engine import EngineError
from warehouse.queries.health import Loader

CARDS = {
    "clickhouse": "ClickHouse",
    "figures_lag": "Lag of the figures",
    "beacons_waiting": "Beacons waiting",
    "free_disk": "Free disk",
}


def layout() -> html.Div:
    """The cards without their figures."""
    cards = html.Dl([figure_card(name, label) for name, label in CARDS.items()], className="figures")
    return html.Div(region("health-figures", cards))


def register(page: Page, callbacks: Callbacks, data: DataSource, refresh: Any) -> None:
    """The callback of the cards. They show what can be known without ClickHouse while it is away."""

    @fill(callbacks, page, "health-figures", figure_outputs(*CARDS), refresh)
    def figures(_refreshed: int | None) -> tuple[str, ...]:
        try:
            engine = FigureText("Connected", data.engine())
            loaders = data.loaders()
        except EngineError as error:
            since = f"for {duration(datetime.now(UTC) - error.trouble.since)}" if error.trouble else ""
            unknown = FigureText("–", "unknown")
            return figure_values(FigureText("Unreachable", since), unknown, unknown, _disk(data))
        now = datetime.now(UTC)
        return figure_values(engine, _lag(loaders, now), _waiting(loaders, now), _disk(data))


def _lag(loaders: list[Loader], now: datetime) -> FigureText:
    if not loaders:
        return FigureText("–", "no loader in the last 7 days")
    furthest = loaders[0]
    hint = f"loader {furthest.id}" if len(loaders) == 1 else f"loader {furthest.id}, the slowest of {len(loaders)}"
    return FigureText(duration(now - furthest.fresh_to), hint)


def _waiting(loaders: list[Loader], now: datetime) -> FigureText:
    oldest = min((loader.oldest for loader in loaders if loader.oldest), default=None)
    hint = f"oldest: {duration(now - oldest)}" if oldest else "none waiting"
    return FigureText(count(sum(loader.waiting for loader in loaders)), hint)


def _disk(data: DataSource) -> FigureText:
    free, total = data.disk()
    return FigureText(size(free), f"of {size(total)} where the home is")
