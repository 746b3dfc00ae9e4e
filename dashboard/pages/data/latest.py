"""The latest beacons of development keys, each for itself: what a module's developer sees while trying it.

An ordinary ingest key never feeds this card, because one beacon is one server.
"""

from typing import Any

from dash import Input, State, dcc, html
from dash.exceptions import PreventUpdate

from core.fields import columns
from dashboard import messages
from dashboard.data_source import DataSource
from dashboard.permissions import Callbacks, Page
from dashboard.regions import HIDDEN, Instead, fill
from dashboard.tables import table, table_card, table_outputs
from warehouse.queries.development import Tried

NAME = "data-latest"
REFRESH_SECONDS = 3
MOST = 50
COLUMNS = ("Received (UTC)", "Key", "Module", "Verdict", "Fields")
NOTE = (
    f"The latest {MOST} beacons of the last 24 hours under development keys (pharos keys new --development), newest "
    f"first, refreshed every {REFRESH_SECONDS} seconds. They count in no figure and on no other card. Identifiers and "
    "addresses are not kept. The answer to the sender names an unknown field; POST /v1/beacons/check shows what each "
    "plane would store."
)
# Columns that are shown apart, and the day, which the time of receipt has too.
_APART = frozenset({"module", "version", "day", "features"})
_PATHS = {column: field.path for field, column in columns("usage")}


def layout() -> html.Div:
    """The card, empty."""
    return html.Div(
        [
            dcc.Interval(id=f"{NAME}-refresh", interval=REFRESH_SECONDS * 1000),
            table_card(NAME, "Latest beacons", None, "development_key"),
        ]
    )


def register(page: Page, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the card."""
    refresh = Input(f"{NAME}-refresh", "n_intervals")
    before = State(f"{NAME}-shown", "data"), State(f"{NAME}-content", "style")

    @fill(callbacks, page, NAME, table_outputs(NAME), refresh, *before)
    def latest(_refreshed: int | None, before: dict[str, Any] | None, style: Any) -> Instead | tuple[Any, ...]:
        found = [row_of(each) for each in data.tried(MOST)]
        if not found:
            return Instead(messages.none_tried(has_key=data.has_development_key()))
        if before and style != HIDDEN and before.get("rows") == found:
            raise PreventUpdate  # a table that is read, or scrolled, stays as it is
        return table("Latest beacons of development keys", COLUMNS, found, [], NOTE)


def row_of(tried: Tried) -> list[str]:
    """A row of the table, as texts."""
    module = f"{tried.stored['module']} {tried.stored['version']}" if tried.stored else "–"
    return [f"{tried.received:%Y-%m-%d %H:%M:%S}", tried.key, module, verdict(tried), fields(tried) or "–"]


def verdict(tried: Tried) -> str:
    """What became of the beacon."""
    if tried.outcome == "rejected":
        return f"Rejected: {tried.reason}{f' at {tried.field}' if tried.field else ''}"
    if tried.outcome == "undeclared":
        return "Not stored: the catalog does not declare the module"
    removed = [f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in sorted(tried.undeclared.items())]
    said = f"Accepted, without {' and '.join(removed)} not in the catalog" if removed else "Accepted"
    return f"{said}; the clock is wrong" if tried.clock_skewed else said


def fields(tried: Tried) -> str:
    """What would be stored: the values of the usage plane, and the names of what only the license plane stores."""
    values = [f"{_PATHS.get(name, name)} {value}" for name, value in tried.stored.items() if name not in _APART]
    features = tried.stored.get("features", {})
    parts = [", ".join(values)] if values else []
    if features:
        parts.append("features: " + ", ".join(f"{name} {times}" for name, times in sorted(features.items())))
    if tried.license_only:
        parts.append("in the license plane alone: " + ", ".join(tried.license_only))
    return "; ".join(parts)
