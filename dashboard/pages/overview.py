"""Overview: how many installs are active, and what they run on."""

from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, html

from dashboard import filters, freshness, gaps, messages
from dashboard.cards import chart_card, figure_card, graph, heading, loading
from dashboard.charts import CHARTS, MOST_BARS, line, shown_rows
from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.formatting import count, days, share
from dashboard.permissions import Callbacks, Page
from warehouse.engine import EngineError
from warehouse.queries.metrics import QueryError
from warehouse.queries.small_groups import OTHER

BARS = [name for name in CHARTS if name.startswith("installs_by_")]
GRAINS = [{"value": "day", "label": "Day"}, {"value": "week", "label": "Week"}, {"value": "month", "label": "Month"}]


def layout() -> html.Div:
    """The page without its figures."""
    grain = dmc.SegmentedControl(id="grain", data=GRAINS, value="day", size="xs", **{"aria-label": "Installs per"})
    return html.Div(
        [
            heading("overview", "Overview", "Installs that sent a beacon, and what they run on."),
            html.Div(
                [
                    loading(html.Dl(id="overview-figures", className="figures"), 112),
                    html.Div(id="overview-empty"),
                    html.Div(
                        [
                            chart_card("installs_per_bucket", grain, 280),
                            html.Div([chart_card(name) for name in BARS], className="charts"),
                            html.P(id="overview-k", className="footnote"),
                        ],
                        id="overview-charts",
                    ),
                ],
                id="overview-body",
            ),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @callbacks.add(
        page,
        Output("overview-notice", "children"),
        Output("overview-body", "style"),
        Output("overview-fresh", "children"),
        Output("overview-figures", "children"),
        Output("overview-empty", "children"),
        Output("overview-charts", "style"),
        Output("overview-k", "children"),
        search,
    )
    def figures(search: str) -> tuple[Any, ...]:
        hidden = {"display": "none"}
        try:
            chosen = filters.read(search, filters.today())
            total = data.total(chosen.args())
            nothing = None if total else html.Div(_nothing(data, chosen, total), className="card")
            cards = _figures(data, chosen)
            fresh, stale = freshness.describe(data, data.ask("installs", chosen.args(grain="period"))["fresh_to"])
        except (QueryError, EngineError) as error:
            return messages.notice(error), hidden, "", [], "", {}, ""
        k = f"Groups under {data.k} installs are folded into {OTHER}. " if data.k > 1 else ""
        k += messages.rounding(data)
        note = f"{k}An install counts under each value that it reported in the range: shares may exceed 100% together."
        return stale, {}, fresh, cards, nothing, hidden if nothing else {}, note

    @callbacks.add(
        page,
        Output("installs_per_bucket-body", "children"),
        Output("installs_per_bucket-note", "children"),
        search,
    )
    def installs_per_bucket(search: str) -> tuple[Any, str]:
        try:
            return _over_time(data, filters.read(search, filters.today()))
        except (QueryError, EngineError):
            return "", ""

    def add_bars(name: str) -> None:
        @callbacks.add(
            page,
            Output(f"{name}-body", "children"),
            Output(f"{name}-note", "children"),
            Output(f"{name}-card", "style"),
            search,
        )
        def installs_by(search: str) -> tuple[Any, str, dict[str, str]]:
            try:
                return _bars(data, name, filters.read(search, filters.today()))
            except (QueryError, EngineError):
                return "", "", {}

    for name in BARS:
        add_bars(name)
    dash_app.clientside_callback(ClientsideFunction("pharos", "showGrain"), Output("grain", "value"), search)
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "chooseGrain"), Input("grain", "value"), State("url", "search")
    )


def _nothing(data: DataSource, chosen: Filters, total: int | None) -> Any:
    """What to say in place of a chart, when it cannot be drawn."""
    if total is None:
        return messages.too_few(data.k)
    return messages.empty(anything_yet=data.received(chosen).first is not None)


def _figures(data: DataSource, chosen: Filters) -> list[Any]:
    total = data.total(chosen.args())
    before = data.total(chosen.before.args())
    span = "1 day" if chosen.days == 1 else f"{chosen.days} days"
    active = count(total) if total is not None else "Too few"
    # Installs that were not counted yet are no growth.
    whole = data.total(chosen.before.beginning.args()) != 0
    if total and before and whole:
        change, hint = f"{total / before - 1:+.1%}".replace("-", "−"), f"from {count(before)} in the {span} before"
    elif before == 0:
        change, hint = "–", f"no beacons in the {span} before"
    else:
        change, hint = "–", f"no full figure for the {span} before"
    return [
        figure_card("Active installs", active, days(chosen.start, chosen.end)),
        figure_card("Change", change, hint),
        _modules(data, chosen),
        _licensed(data, chosen, total),
    ]


def _modules(data: DataSource, chosen: Filters) -> Any:
    rows = data.ask("installs", chosen.args(by="module", grain="period"))["rows"]
    named = [row for row in rows if row["key"] != OTHER]
    if rows and not named:
        return figure_card("Modules", "–", "too few installs of any")
    hint = f"and others under {data.k} installs" if len(named) < len(rows) else "with beacons in the range"
    return figure_card("Modules", count(len(named)), hint)


def _licensed(data: DataSource, chosen: Filters, total: int | None) -> Any:
    rows = data.ask("installs", chosen.args(by="license_status", grain="period"))["rows"]
    licensed = next((row["value"] for row in rows if row["key"] == "licensed"), None)
    if not total or licensed is None:
        return figure_card("Licensed", "–", "of active installs")
    return figure_card("Licensed", share(licensed / total), f"{count(licensed)} installs report licensed")


def _over_time(data: DataSource, chosen: Filters) -> tuple[Any, str]:
    total = data.total(chosen.args())
    if not total:
        return _nothing(data, chosen, total), ""
    rows = data.ask("installs", chosen.args(grain=chosen.grain))["rows"]
    span = chosen.start, chosen.end
    received = data.received(chosen)
    over_time = line(rows, *span, chosen.grain, filters.today(), received)
    name = "installs_per_bucket"
    notes = []
    if any(over_time.incomplete):
        notes.append(f"Hollow points and dotted lines: the {chosen.grain} is not over, or only in part in the range.")
    if any(over_time.small):
        notes.append("Breaks without shade: too few installs to show.")
    silence = gaps.in_days(gaps.silent_days(received, *span, filters.today()))
    known = [int(value) for value in over_time.values if value is not None]
    summary = f"Active installs per {chosen.grain}, {days(chosen.start, chosen.end)}: " + (
        f"from {count(min(known))} to {count(max(known))}, last {count(known[-1])}." if known else "too few to show."
    )
    return graph(name, CHARTS[name].figure(over_time, chosen.grain), summary), " ".join([silence, *notes]).strip()


def _bars(data: DataSource, name: str, chosen: Filters) -> tuple[Any, str, dict[str, str]]:
    """The chart, its note, and the style of its card."""
    chart = CHARTS[name]
    total = data.total(chosen.args())
    rows = data.ask(chart.metric, chosen.args(**chart.args))["rows"]
    shown = shown_rows(rows)
    if total and not rows:
        return "", "", {"display": "none"}  # installs, and none tells this: no country without a database, for one
    if not total or not shown:
        return _nothing(data, chosen, total if total == 0 else None), "", {}
    words = ", ".join(f"{row['key']} {count(row['value'])} ({share(row['value'] / total)})" for row in shown)
    hidden = len(rows) - len(shown)
    notes = [f"The {MOST_BARS} largest of {len(rows)}."] if hidden > 0 else []
    if name == "installs_by_version" and not chosen.module:
        notes.append("Of all modules; choose one to see its own.")
    return graph(name, chart.figure(rows, total), f"{chart.title}: {words}."), " ".join(notes), {}
