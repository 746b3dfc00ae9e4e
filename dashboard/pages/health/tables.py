"""The card of the tables and their sizes."""

from typing import Any

from dash import Output, html

from dashboard.data_source import DataSource
from dashboard.formatting import count, size
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from warehouse.queries.health import Table


def layout() -> html.Section:
    """The card without rows."""
    head = html.Tr([html.Th("Table", scope="col"), html.Th("Rows", scope="col"), html.Th("On disk", scope="col")])
    table = html.Table([html.Thead(head), html.Tbody(id="health-table-rows")], className="plain-table")
    return html.Section(
        [
            html.Div(html.H2("Tables", id="health-tables-title"), className="card-head"),
            *region("health-tables", table),
        ],
        className="card",
        **{"aria-labelledby": "health-tables-title"},
    )


def register(page: Page, callbacks: Callbacks, data: DataSource, refresh: Any) -> None:
    """The callback of the card."""

    @fill(callbacks, page, "health-tables", [Output("health-table-rows", "children")], refresh)
    def tables(_refreshed: int | None) -> Instead | tuple[list[html.Tr]]:
        if not data.administers:
            return Instead(html.P("Not known here: this dashboard has the logins of the readers alone."))
        return ([_row(table) for table in data.tables()],)


def _row(table: Table) -> html.Tr:
    cells = [html.Td(count(table.rows)), html.Td(size(table.bytes))]
    return html.Tr([html.Th(_breakable(table.name), scope="row"), *cells])


def _breakable(name: str) -> list[Any]:
    """The name with a possible line break after each underscore."""
    first, *rest = name.split("_")
    return [first, *(part for word in rest for part in ("_", html.Wbr(), word))]
