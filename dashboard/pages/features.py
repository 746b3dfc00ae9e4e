"""Features: which are used, by what share of the active installs, and how that moves."""

from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, Input, Output, html
from flask import abort

from dashboard import filters, freshness, gaps, messages
from dashboard.cards import chart_card, graph, heading, loading
from dashboard.charts import CHARTS, line, ratio
from dashboard.data_source import DataSource
from dashboard.display_names import called
from dashboard.filters import Filters
from dashboard.formatting import count, days, share
from dashboard.grids import GRID, csv_name, download, register_download
from dashboard.permissions import Callbacks, Page
from warehouse.engine import EngineError
from warehouse.queries.metrics import QueryError
from warehouse.queries.small_groups import OTHER

Shown = list[dict[str, Any]]  # rows of the grid
Selected = Shown | dict[str, Any] | None

FEW = "too few"
RARE = 0.05  # adoption under which a feature is called rarely used
WEEKS_FROM = 92  # days from which the trend is by week: a point per day is no longer readable

COLUMNS = [
    {"field": "feature", "headerName": "Feature", "minWidth": 165, "flex": 3, "cellClass": "strong",
     "cellRenderer": "Named", "comparator": {"function": "byTitle"}, "tooltipField": "about"},
    {"field": "title", "headerName": "Title", "hide": True},  # for the CSV file
    {
        "field": "adoption", "headerName": "Adoption", "minWidth": 120, "flex": 3, "sort": "desc",
        "cellRenderer": "Share",
        "valueFormatter": {"function": "percent(params.value)"}, "sortingOrder": ["desc", "asc"],
        "headerTooltip": "Installs that used the feature, as a share of the active installs",
    },
    {"field": "installs", "headerName": "Installs", "minWidth": 96, "flex": 1, "type": "rightAligned",
     "cellRenderer": "Count", "valueFormatter": {"function": "plain(params.value)"}},
    {"field": "uses", "headerName": "Uses", "minWidth": 108, "flex": 2, "type": "rightAligned", "cellRenderer": "Count",
     "valueFormatter": {"function": "plain(params.value)"}},
    {"field": "hint", "headerName": "Hint", "minWidth": 122, "width": 122, "cellRenderer": "Hint"},
]  # fmt: skip


def layout() -> html.Div:
    """The page without its figures."""
    return html.Div(
        [
            heading("features", "Features", "Which features are used, and by what share of the active installs."),
            html.Div(
                [
                    html.Section(
                        [
                            html.Div(
                                [html.H2("Adoption", id="adoption-title"), download("features")], className="card-head"
                            ),
                            loading(
                                dag.AgGrid(
                                    id="features-grid", columnDefs=COLUMNS, rowData=[], getRowId="params.data.feature",
                                    dashGridOptions=_options([]), defaultColDef={"resizable": True, "sortable": True},
                                    className="grid", style={"height": None},
                                ),
                                240,
                            ),
                            html.P(id="features-note", className="card-note"),
                        ],
                        className="card",
                        **{"aria-labelledby": "adoption-title"},
                    ),
                    chart_card("adoption_per_bucket", dmc.Text(id="features-chosen", size="sm"), 280),
                ],
                id="features-body",
                className="features",
            ),
            html.Div(id="features-empty"),
        ]
    )  # fmt: skip


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @callbacks.add(
        page,
        Output("features-notice", "children"),
        Output("features-body", "style"),
        Output("features-empty", "children"),
        Output("features-fresh", "children"),
        Output("features-grid", "rowData"),
        Output("features-grid", "dashGridOptions"),
        Output("features-grid", "selectedRows"),
        Output("features-grid", "csvExportParams"),
        Output("features-note", "children"),
        search,
    )
    def features(search: str) -> tuple[Any, ...]:
        hidden = {"display": "none"}
        try:
            chosen = filters.read(search, filters.today())
            total = data.total(chosen.args())
            rows, other = _rows(data, chosen, total)
            fresh, stale = freshness.describe(data, data.ask("installs", chosen.args(grain="period"))["fresh_to"])
            nothing = _nothing(data, chosen, total, bool(rows or other))
        except (QueryError, EngineError) as error:
            return messages.notice(error), hidden, "", "", [], _options([]), [], {}, ""
        if nothing is not None:
            return stale, hidden, html.Div(nothing, className="card"), fresh, [], _options([]), [], {}, ""
        note = (
            f"{days(chosen.start, chosen.end)}, {count(total or 0)} active installs. "
            f"Rarely used: by under {RARE:.0%} of them, candidates to drop. {messages.rounding(data)}"
        ).strip()
        if other:
            note += f" {OTHER}: features that too few installs used to show each, together."
        first = {"ids": [rows[0]["feature"]]} if rows else []
        name = csv_name("features", chosen, chosen.module)
        return stale, {}, "", fresh, rows, _options(other), first, name, note

    @callbacks.add(
        page,
        Output("adoption_per_bucket-body", "children"),
        Output("adoption_per_bucket-note", "children"),
        Output("features-chosen", "children"),
        Input("features-grid", "selectedRows"),
        search,
    )
    def adoption_per_bucket(selected: Selected, search: str) -> tuple[Any, str, str]:
        feature = _feature(selected)
        if feature is None:
            return html.Div("Choose a row of the table to see its trend.", className="empty"), "", ""
        try:
            name = called(data.catalog(), "feature", feature, filters.today())
            return *_trend(data, filters.read(search, filters.today()), feature), name.title or feature
        except (QueryError, EngineError):
            return "", "", ""

    register_download(dash_app, page.name)


def _feature(selected: Selected) -> str | None:
    """The feature of the chosen row; set by the server it is `{"ids": [...]}`, by the grid the row itself."""
    try:
        if isinstance(selected, dict):
            return str(selected["ids"][0]) if selected.get("ids") else None
        return str(selected[0]["feature"]) if selected else None
    except (KeyError, IndexError, TypeError):
        abort(400)  # no row of our grid


def _nothing(data: DataSource, chosen: Filters, total: int | None, features: bool) -> Any:
    if total is None:
        return messages.too_few(data.k)
    if total == 0:
        return messages.empty(anything_yet=data.received(chosen).first is not None)
    return None if features else messages.no_features()


def _rows(data: DataSource, chosen: Filters, total: int | None) -> tuple[Shown, Shown]:
    """The rows of the grid by adoption, and apart from them the row of what is folded."""
    if not total:
        return [], []
    installs = data.ask("feature_installs", chosen.args(by="feature", grain="period"))["rows"]
    counted = data.ask("feature_uses", chosen.args(by="feature", grain="period"))["rows"]
    uses = {row["key"]: row["value"] for row in counted}
    catalog, today = data.catalog(), filters.today()
    rows: Shown = []
    other: Shown = []
    for row in installs:
        adoption = None if row["value"] is None else row["value"] / total
        name = called(catalog, "feature", row["key"], today)
        folded = row["key"] == OTHER
        rare = "Rarely used" if adoption is not None and adoption < RARE else ""
        shown = {
            "feature": row["key"],
            "title": name.title,
            "about": row["key"] if folded else name.about,
            "adoption": FEW if adoption is None else adoption,
            "installs": FEW if row["value"] is None else row["value"],
            "uses": FEW if uses.get(row["key"]) is None else uses[row["key"]],
            "hint": "" if folded else name.mark or rare,
        }
        (other if folded else rows).append(shown)
    return rows, other


def _trend(data: DataSource, chosen: Filters, feature: str) -> tuple[Any, str]:
    chart = CHARTS["adoption_per_bucket"]
    grain = "week" if chosen.days > WEEKS_FROM else "day"
    received = data.received(chosen)
    span = chosen.start, chosen.end, grain, filters.today(), received
    using = data.ask(chart.metric, chosen.args(**chart.args, grain=grain, feature=feature))["rows"]
    active = data.ask("installs", chosen.args(grain=grain))["rows"]
    adoption = ratio(line(using, *span), line(active, *span))
    known = [value for value in adoption.values if value is not None]
    summary = f"Adoption of {feature} per {grain}, {days(chosen.start, chosen.end)}: " + (
        f"from {share(min(known))} to {share(max(known))}, last {share(known[-1])}." if known else "too few to show."
    )
    note = f"Share of the installs active in each {grain} that used the feature in it."
    if any(adoption.small):
        note += " Breaks without shade: too few installs used it to show, or none was active."
    silence = gaps.in_days(gaps.silent_days(received, chosen.start, chosen.end, filters.today()))
    return graph("adoption_per_bucket", chart.figure(adoption, grain), summary), f"{silence} {note}".strip()


def _options(other: Shown) -> dict[str, Any]:
    return {
        **GRID,
        "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
        "domLayout": "autoHeight",
        "pinnedBottomRowData": other,  # whatever the order, what is folded comes last
    }
