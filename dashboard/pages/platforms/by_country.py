"""The card of countries: a map of the world, and the largest countries as a table. A country filters by itself."""

from dataclasses import asdict
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, dcc, html

from dashboard import messages
from dashboard.answer_rows import REST, Row, known_rows, largest_rows
from dashboard.cards import definition, shown_table
from dashboard.charts.country_map import country_map
from dashboard.charts.tables import ShownTable
from dashboard.countries import ATLAS, countries, named, outlines
from dashboard.data_source import EVERY_DIMENSION, DataSource
from dashboard.empty_ranges import why_empty
from dashboard.formatting import count, plural
from dashboard.pages.platforms.values import MOST
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.tables import table, table_outputs
from dashboard.value_table import value_rows, whole
from warehouse.queries.small_groups import OTHER

NAME = "platforms-country"
TITLE = "Country"


def layout() -> html.Section:
    """The card, empty. It has no map where there are no outlines."""
    # The table has all of it for the keyboard and for screen readers.
    world = [html.Div(id=f"{NAME}-map", className="world-map", **{"aria-hidden": "true"})] if ATLAS.is_file() else []
    title = html.Div([html.H2(TITLE, id=f"{NAME}-title"), *definition("country")], className="card-title")
    return html.Section(
        [
            html.Div([title], className="card-head"),
            *region(
                NAME,
                dcc.Store(id=f"{NAME}-drawn"),
                html.Div([*world, html.Div(id=f"{NAME}-body")], className="map-and-table"),
                html.P(id=f"{NAME}-note", className="card-note"),
                *shown_table(NAME, TITLE),
            ),
        ],
        className="card",
        id=f"{NAME}-card",
        **{"aria-labelledby": f"{NAME}-title"},
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callbacks of the card."""

    @fill(callbacks, page, NAME, [*table_outputs(NAME), Output(f"{NAME}-drawn", "data")], search)
    def by_country(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        args = chosen.args(by="country", grain="period", count="latest")
        found = [
            row for row in known_rows(data.ask("installs", args, side_by_side=EVERY_DIMENSION)["rows"]) if row["key"]
        ]
        active = data.total(chosen.args())
        if not active:
            return Instead(why_empty(data, chosen))
        if not found:
            return Instead(messages.no_countries(data.k))
        apart = chosen.counts_once
        total, calls, said = whole(chosen, args, found, active, rounded=data.rounded)
        rows = value_rows("/platforms", search, "country", largest_rows(found, MOST, apart=apart), total, named)
        body, _, _ = table("Installs by country", (TITLE, "Installs", "Share"), rows, [])
        note = " ".join([*said, *notes(found, f"in {REST}" if apart else "not listed")])
        return body, note, asdict(shown(found, total, calls)), country_map(found, total, data.k)

    if ATLAS.is_file():
        dash_app.clientside_callback(
            ClientsideFunction("pharos", "drawMap"),
            Output(f"{NAME}-map", "className"),
            Input(f"{NAME}-drawn", "data"),
        )


def notes(found: list[Row], others: str) -> list[str]:
    """What the map does not show, and what the table does not; `others` says where this is."""
    on_map = outlines(ATLAS)
    said = []
    named_rows = [row for row in found if row["key"] != OTHER]
    if len(named_rows) > MOST:
        said.append(f"The {MOST} largest of {len(named_rows)} countries; the others are {others}. All are in the file.")
    if on_map is None:
        return said
    drawn = on_map["countries"].keys() | on_map["dots"].keys()
    missing = [row for row in named_rows if row["key"] not in drawn]
    if missing:
        words = ", ".join(f"{named(row['key'])} {count(row['value'])}" for row in missing)
        said.append(f"Not on the map: {words}.")
    said.extend(
        f"{plural(row['value'], 'install')} of countries with too few to show are not on the map."
        for row in found
        if row["key"] == OTHER
    )
    return said


def shown(found: list[Row], total: int, calls: list[str]) -> ShownTable:
    """All countries with their figures."""
    rows = [
        (row["key"], countries()[row["key"]].name if row["key"] in countries() else "", row["value"],
         row["value"] / total)
        for row in largest_rows(found, len(found))
    ]  # fmt: skip
    return ShownTable(("Code", TITLE, "Installs", "Share"), rows, calls)
