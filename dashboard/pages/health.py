"""Health: how Pharos itself is doing, for those who run it. It works while ClickHouse is away, and refreshes itself."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard import freshness, gaps, messages
from dashboard.cards import figure_card, graph, heading
from dashboard.charts import CHARTS, Figure, Line, beacons_per_hour, line_of_hours
from dashboard.data_source import DataSource
from dashboard.formatting import count, duration, moment, plural, size
from dashboard.permissions import Callbacks, Page
from warehouse.engine import EngineError
from warehouse.queries.health import HOURS, Loader, hours

REFRESH_SECONDS = 15
CHART = "beacons_per_hour"
HIDDEN = {"display": "none"}


def layout() -> html.Div:
    """The page without its figures. Nothing in it shows that it is loading: it would flicker at every refresh."""
    return html.Div(
        [
            heading("health", "Health", f"How Pharos itself is doing. Refreshed every {REFRESH_SECONDS} seconds."),
            dcc.Interval(id="health-refresh", interval=REFRESH_SECONDS * 1000),
            html.Dl(id="health-figures", className="figures"),
            html.Div(
                [
                    html.Section(
                        [
                            html.Div(html.H2(CHARTS[CHART].title, id=f"{CHART}-title"), className="card-head"),
                            html.Div(
                                graph(CHART, _figure(None, {}, datetime.now(UTC)), ""),
                                id="health-chart",
                                className="chart",
                            ),
                            html.P(id=f"{CHART}-note", className="card-note"),
                        ],
                        className="card",
                        **{"aria-labelledby": f"{CHART}-title"},
                    ),
                    html.Section(
                        [
                            html.Div(html.H2("Loaders", id="health-loaders-title"), className="card-head"),
                            html.Div(id="health-loaders"),
                        ],
                        className="card",
                        **{"aria-labelledby": "health-loaders-title"},
                    ),
                    html.Section(
                        [
                            html.Div(html.H2("Tables", id="health-tables-title"), className="card-head"),
                            html.Div(id="health-tables"),
                        ],
                        className="card",
                        **{"aria-labelledby": "health-tables-title"},
                    ),
                ],
                id="health-body",
            ),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the page."""

    @callbacks.add(
        page,
        Output("health-notice", "children"),
        Output("health-fresh", "children"),
        Output("health-figures", "children"),
        Output("health-body", "style"),
        Output("health-chart", "style"),
        Output(CHART, "figure"),
        Output(f"{CHART}-summary", "children"),
        Output(f"{CHART}-note", "children"),
        Output("health-loaders", "children"),
        Output("health-tables", "children"),
        Input("health-refresh", "n_intervals"),
    )
    def health(_refreshed: int | None) -> tuple[Any, ...]:
        now = datetime.now(UTC)
        try:
            engine = figure_card("ClickHouse", "Answers", data.engine())
            loaders = data.loaders()
            fresh, stale = freshness.describe(data, data.fresh_to())
        except EngineError as error:
            now = datetime.now(UTC)  # it may have taken seconds to find out
            engine = figure_card(
                "ClickHouse", "Fails", f"for {duration(now - error.trouble.since)}" if error.trouble else ""
            )
            unknown = [figure_card(name, "–", "not known now") for name in ("Figures lag", "Beacons waiting")]
            figures = [engine, *unknown, _disk(data)]
            return messages.notice(error), "", figures, HIDDEN, HIDDEN, _figure(None, {}, now), "", "", "", ""
        told = [_loader(loader, now) for loader in loaders] or html.P("None was heard of in 7 days.", className="dim")
        figures = [engine, _lag(loaders, now), _waiting(loaders, now), _disk(data)]
        return stale, fresh, figures, {}, *_hours(data, now), told, _tables(data, now)


def _figure(first: datetime | None, beacons: Mapping[datetime, int], now: datetime) -> Figure:
    return beacons_per_hour(line_of_hours(first, beacons, hours(now)))


def _hours(data: DataSource, now: datetime) -> tuple[dict[str, str], Figure, str, str]:
    """The style of the chart, the chart, what it shows in words, and its note."""
    try:
        first, beacons = data.beacons_per_hour(now)
    except EngineError as error:
        return HIDDEN, _figure(None, {}, now), "", _unreadable(error, now)
    silence = gaps.in_hours(gaps.silent_hours(first, beacons, hours(now)))
    note = f"{silence} By the time that a beacon says of itself, in UTC. The last hour is not over.".strip()
    return {}, _figure(first, beacons, now), _summary(line_of_hours(first, beacons, hours(now))), note


def _unreadable(error: EngineError, now: datetime) -> str:
    """In place of a part, where a table is missing and the rest can be read."""
    return f"This cannot be read: ClickHouse {messages.away(error.trouble, now)}."


def _lag(loaders: list[Loader], now: datetime) -> Any:
    if not loaders:
        return figure_card("Figures lag", "–", "no loader was heard of in 7 days")
    furthest = loaders[0]
    hint = f"loader {furthest.id}" if len(loaders) == 1 else f"loader {furthest.id}, the furthest of {len(loaders)}"
    return figure_card("Figures lag", duration(now - furthest.fresh_to), hint)


def _waiting(loaders: list[Loader], now: datetime) -> Any:
    oldest = min((loader.oldest for loader in loaders if loader.oldest), default=None)
    hint = f"the oldest for {duration(now - oldest)}" if oldest else "all are loaded"
    return figure_card("Beacons waiting", count(sum(loader.waiting for loader in loaders)), hint)


def _disk(data: DataSource) -> Any:
    free, total = data.disk()
    return figure_card("Free disk", size(free), f"of {size(total)}, where the home is")


def _loader(loader: Loader, now: datetime) -> html.Div:
    """What a loader tells of itself: its state in a word, then each thing with its name."""
    word, good = _state(loader, now)
    oldest = f"{duration(now - loader.oldest)} ago" if loader.oldest else "–"
    quarantined: list[Any] = [count(loader.quarantined)]
    if loader.quarantined:
        quarantined.append(html.Span(["see ", html.Code("pharos quarantine list")], className="figure-hint"))
    things: dict[str, Any] = {
        "Figures up to": f"{moment(loader.fresh_to)} ({duration(now - loader.fresh_to)} ago)",
        "Last heard of": f"{duration(now - loader.written)} ago",
        "Beacons waiting": count(loader.waiting),
        "Oldest received": oldest,
        "Batches under way": count(loader.sealed),
        "In quarantine": quarantined,
        "Free disk": size(loader.free_bytes) if loader.pharos else "–",
        "Pharos": loader.pharos or "an older one",
    }
    return html.Div(
        [
            html.H3(["Loader ", html.Span(loader.id, className="mono"), html.Span(word, className=f"badge {good}")]),
            html.P(f"It {freshness.why(loader, now)}.", className="loader-why") if not good else None,
            html.Dl([html.Div([html.Dt(name), html.Dd(told)]) for name, told in things.items()]),
        ],
        className="loader",
    )


def _state(loader: Loader, now: datetime) -> tuple[str, str]:
    """The state in a word, and "good" where nothing need be done."""
    if loader.silent(now):
        return "Silent", ""
    if loader.trouble:
        return "Cannot load", ""
    return ("Catching up", "good") if loader.late(now) else ("Loads", "good")


def _tables(data: DataSource, now: datetime) -> Any:
    if not data.administers:
        return html.P("Not known here: this dashboard has the logins of the readers alone.", className="dim")
    try:
        tables = data.tables()
    except EngineError as error:
        return html.P(_unreadable(error, now), className="dim")
    head = html.Tr([html.Th("Table", scope="col"), html.Th("Rows", scope="col"), html.Th("On disk", scope="col")])
    rows = [
        html.Tr([html.Th(_breakable(table.name), scope="row"), html.Td(count(table.rows)), html.Td(size(table.bytes))])
        for table in tables
    ]
    return html.Table([html.Thead(head), html.Tbody(rows)], className="plain-table")


def _breakable(name: str) -> list[Any]:
    first, *rest = name.split("_")
    return [first, *(part for word in rest for part in ("_", html.Wbr(), word))]


def _summary(line: Line) -> str:
    known = [int(value) for value in line.values[:-1] if value is not None]
    if not known:
        return f"No beacons in the last {HOURS} hours."
    return (
        f"Beacons per hour, last {HOURS} hours: {plural(sum(known), 'beacon')} in the hours that are over, "
        f"from {count(min(known))} to {count(max(known))} in an hour, {count(int(line.values[-1] or 0))} in this one."
    )
