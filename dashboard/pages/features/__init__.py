"""Features: which are used, by what share of the active installs, and how that changes."""

from typing import Any

from dash import Dash, Input, Output, html

from dashboard import filters, freshness, messages
from dashboard.cards import heading
from dashboard.conditions import base_in_words
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from dashboard.empty_ranges import why_empty
from dashboard.formatting import count, days, plural
from dashboard.pages.features import csv_file, rows, table
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.tables import change_in_words
from warehouse.queries.small_groups import OTHER


def layout() -> html.Div:
    """The page without its figures."""
    return html.Div(
        [
            heading(
                "features",
                "Features",
                "Which features are used, and by what share of the installs of their module. A row opens the feature.",
            ),
            *region("features", table.layout()),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")
    outputs = [
        Output("features-grid", "dashGridOptions"),
        Output("features-grid", "style"),
        Output("features-note", "children"),
    ]

    @fill(callbacks, page, "features", outputs, search)
    def features(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        total = data.total(chosen.base())
        if not total:
            return Instead(why_empty(data, chosen))
        found = rows.read(data, chosen, history=False)
        if not found.features and not found.folded:
            return Instead(messages.no_features())
        note = (
            f"{plural(len(found.features), 'feature')}, {days(chosen.start, chosen.end)}, {count(total)} "
            f"{base_in_words(chosen.conditions)}. Shares are of those with the feature's module. "
            f"{_rare(chosen.days)}{change_in_words(data, chosen)} {messages.precision(data, chosen)}"
        ).strip()
        module = display_name(data.catalog(), "module", chosen.module, filters.today())
        if module.said:
            note = f"{module.label}: {module.said}. {note}"
        if found.folded:
            note += f" {OTHER}: all features that too few installs used to show separately."
        return table.options(found.folded), table.style(len(found.features), len(found.folded)), note

    freshness.register(callbacks, page, data, search)
    table.register(page, dash_app, callbacks, data)
    csv_file.register(page, callbacks, data)


def _rare(days: int) -> str:
    return f"{rows.RARELY}: by under {rows.RARE:.0%} of them, candidates to drop. " if days >= rows.RARE_DAYS else ""
