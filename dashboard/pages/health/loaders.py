"""The card of the loaders: the state of each, as it last reported it."""

from datetime import UTC, datetime
from typing import Any

from dash import Output, html

from dashboard import freshness
from dashboard.data_source import DataSource
from dashboard.formatting import count, duration, moment, size
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill
from warehouse.queries.health import Loader


def layout() -> html.Section:
    """The card without loaders."""
    return html.Section(
        [
            html.Div(html.H2("Loaders", id="health-loaders-title"), className="card-head"),
            html.Div(id="health-loaders"),
        ],
        className="card",
        **{"aria-labelledby": "health-loaders-title"},
    )


def register(page: Page, callbacks: Callbacks, data: DataSource, refresh: Any) -> None:
    """The callback of the card. It fills the page's own region: without ClickHouse that hides all large cards."""

    @fill(callbacks, page, "health", [Output("health-loaders", "children")], refresh)
    def loaders(_refreshed: int | None) -> tuple[Any]:
        data.engine()
        now = datetime.now(UTC)
        found = [_loader(loader, now) for loader in data.loaders()]
        return (found or html.P("No loader has reported in the last 7 days.", className="dim"),)


def _loader(loader: Loader, now: datetime) -> html.Div:
    word, good = _state(loader, now)
    quarantined: list[Any] = [count(loader.quarantined)]
    if loader.quarantined:
        quarantined.append(html.Span(["see ", html.Code("pharos quarantine list")], className="figure-hint"))
    properties: dict[str, Any] = {
        "Figures up to": f"{moment(loader.fresh_to)} ({duration(now - loader.fresh_to)} ago)",
        "Last report": f"{duration(now - loader.written)} ago",
        "Beacons waiting": count(loader.waiting),
        "Oldest beacon waiting": f"{duration(now - loader.oldest)}" if loader.oldest else "none waiting",
        "Batches in progress": count(loader.sealed),
        "Rows in quarantine": quarantined,
        "Free disk": size(loader.free_bytes) if loader.pharos else "–",
        "Pharos version": loader.pharos or "older than 0.1",
    }
    return html.Div(
        [
            html.H3(["Loader ", html.Span(loader.id, className="mono"), html.Span(word, className=f"badge {good}")]),
            html.P(f"It {freshness.why(loader, now)}.", className="loader-why") if not good else None,
            html.Dl([html.Div([html.Dt(name), html.Dd(value)]) for name, value in properties.items()]),
        ],
        className="loader",
    )


def _state(loader: Loader, now: datetime) -> tuple[str, str]:
    """The state in a word, and "good" when the operator need not act."""
    if loader.silent(now):
        return "Not reporting", ""
    if loader.trouble:
        return "Failing", ""
    return ("Catching up", "good") if loader.late(now) else ("Running", "good")
