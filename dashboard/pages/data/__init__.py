"""Data: what arrived, from which modules, what is missing, and what installs do not report."""

from typing import Any

from dash import Dash, Input, Output, html

from dashboard import filters, freshness, gaps
from dashboard.cards import heading
from dashboard.data_source import DataSource
from dashboard.empty_ranges import why_empty
from dashboard.filters import Filters
from dashboard.formatting import count, day, days, moment, plural
from dashboard.pages.data import by_day, latest, rejected, reported
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.tables import facts

COUNTED = (
    "The collector counts accepted and duplicate beacons, and skewed clocks, at its address /metrics. It stores none "
    "of these counts."
)


def layout() -> html.Div:
    """The page without its figures."""
    return html.Div(
        [
            heading("data", "Data", "What arrived, what is missing, and what installs do not report."),
            *region(
                "data",
                html.Div(id="data-figures"),
                html.P(id="data-gaps", className="gaps"),
                by_day.CARD.layout(),
                reported.CARD.layout(),
            ),
            rejected.CARD.layout(),  # also where nothing was accepted
            latest.layout(),
            html.P(COUNTED, className="footnote"),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @fill(callbacks, page, "data", [Output("data-figures", "children"), Output("data-gaps", "children")], search)
    def arrived(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        total = data.total(chosen.args())
        if not total:
            return Instead(why_empty(data, chosen))
        return _figures(data, chosen, total), _gaps(data, chosen)

    by_day.CARD.register(page, callbacks, data, search)
    reported.CARD.register(page, callbacks, data, search)
    rejected.CARD.register(page, callbacks, data, search)
    latest.register(page, callbacks, data)
    freshness.register(callbacks, page, data, search)


def _figures(data: DataSource, chosen: Filters, total: int) -> html.Dl:
    received, fresh = data.received(chosen), data.fresh_to()
    silent = gaps.silent_days(received, chosen.start, chosen.end, filters.today())
    return facts(
        ("Active installs", count(total), days(chosen.start, chosen.end)),
        ("Days with beacons", count(len(received.days)), f"of {plural(chosen.days, 'day')}, of any module"),
        ("Gaps", count(len(silent)), "days without a beacon of any module"),
        (
            "First beacon",
            day(received.first) if received.first else "–",
            f"counted up to {moment(fresh)}" if fresh else "",
        ),
    )  # fmt: skip


def _gaps(data: DataSource, chosen: Filters) -> str:
    received = data.received(chosen)
    silent = gaps.silent_days(received, chosen.start, chosen.end, filters.today())
    if received.first and received.first > chosen.start:
        return gaps.in_days(silent) or "Every day since the first beacon has beacons."
    return gaps.in_days(silent) or "Every day of the range that is over has beacons."
