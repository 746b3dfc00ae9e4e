"""Cases: what needs a decision, worst first. The address is the only state."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask_login import current_user

from core.outbox import OutboxError
from core.visits import noted
from dashboard import freshness, messages
from dashboard import mantine as dmc
from dashboard.cards import heading
from dashboard.case_file import MOST, csv_of
from dashboard.case_words import grades, states
from dashboard.data_source import DataSource, asker
from dashboard.grids import csv_name, download
from dashboard.pages.desk.choices import address, choices
from dashboard.pages.desk.keys import found as found_keys
from dashboard.pages.desk.keys import search as key_search
from dashboard.pages.desk.outcome import outcome
from dashboard.pages.desk.outside import outside
from dashboard.pages.desk.table import bulk, fields, pages, table, told
from dashboard.permissions import Callbacks, Page
from dashboard.regions import HIDDEN, SHOWN, Instead, fill, message, region
from warehouse.cases.listing import DEFAULT_LIMIT as PAGE_ROWS
from warehouse.cases.listing import PARAMETERS
from warehouse.queries.metrics import QueryError

ORDER = (
    "Worst is the largest product of grade (self-reported 1, registry 2, recorded by us 3), installs at once, and the "
    "days from the first to the last report that supports a flag. Silence does not count. The days are written anew "
    "when they have doubled."
)


def layout() -> html.Div:
    """The page without its cases."""
    return html.Div(
        [
            heading(
                "desk",
                "Cases",
                "Installs and license keys that a rule has flagged, worst first. A case is a reason to ask, not a "
                "verdict. Open one for its evidence.",
            ),
            html.Div(id="desk-outcome", role="status"),
            dcc.Download(id="desk-file"),
            message("desk-csv"),
            html.Section(
                [
                    html.Div(
                        [html.Div(id="desk-choices", className="choices"), download("desk")], className="card-head"
                    ),
                    *region(
                        "desk-rows",
                        html.P(id="desk-count", className="card-note"),
                        html.Div(id="desk-keys"),
                        html.Details(
                            [
                                html.Summary("What grades, states and the order mean"),
                                *map(html.P, (grades(), states(), ORDER)),
                            ],
                            className="card-note",
                        ),
                        dmc.CheckboxGroup(html.Div(id="desk-table", className="awaited"), id="desk-chosen", value=[]),
                        html.Div(id="desk-pages", className="pages"),
                        bulk(),
                    ),
                ],
                className="card",
                **{"aria-label": "Cases"},
            ),
            *region("desk-outside", html.Div(id="desk-webhook")),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")
    outputs = [
        Output("desk-choices", "children"),
        Output("desk-count", "children"),
        Output("desk-table", "children"),
        Output("desk-pages", "children"),
        Output("desk-fields", "children"),
        Output("desk-bulk", "style"),
        Output("desk-outcome", "children"),
        Output("desk-keys", "children"),
        Output("desk-chosen", "value"),
    ]

    @fill(callbacks, page, "desk-rows", outputs, search)
    def desk(search: str) -> Instead | tuple[Any, ...]:
        given, number = _query(search)
        now = datetime.now(UTC)
        seen = noted(data.visits, current_user.name, "cases", now)
        found, total = data.casework.list(asker(), "cases", given, seen=seen, after=(number - 1) * PAGE_ROWS)
        if found:
            shown = table(found, seen, data.casework.last_reports(found))
        else:
            shown = messages.page_after_the_last(address(given)) if number > 1 else messages.no_cases()
        back = urlencode({**given, **({"page": number} if number > 1 else {})})
        return (
            choices(given),
            told(total, given),
            shown,
            pages(total.cases, number, given),
            fields(back, data.casework.people()),
            SHOWN if found else HIDDEN,
            outcome(search),
            _keys(data, given.get("key", "")),
            [],
        )

    freshness.register(callbacks, page, data, search)

    @fill(callbacks, page, "desk-outside", [Output("desk-webhook", "children")], search)
    def webhook(_search: str) -> tuple[Any]:
        try:
            return (outside(data.webhook.told()) if data.webhook else "",)
        except OutboxError:
            return ("The outbox of the webhook cannot be read.",)

    @fill(
        callbacks,
        page,
        "desk-csv",
        [Output("desk-file", "data")],
        Input("desk-csv", "n_clicks"),
        State("url", "search"),
        content=False,
        prevent_initial_call=True,
    )
    def export(_clicks: int, search: str) -> Instead | tuple[dict[str, Any]]:
        given, _ = _query(search)
        seen = noted(data.visits, current_user.name, "cases", datetime.now(UTC))
        found, total = data.casework.list(asker(), "cases csv", given, seen=seen, limit=MOST)
        if total.cases > len(found):
            return Instead(messages.warning(f"These are {total.cases} cases: a file has at most {MOST}.", []))
        name = csv_name("cases", None, given.get("module", ""))
        return ({"content": csv_of(found), "filename": name, "type": "text/csv"},)

    dash_app.clientside_callback(ClientsideFunction("pharos", "forgetOutcome"), Input("desk-outcome", "children"))
    dash_app.clientside_callback(
        ClientsideFunction("pharos", "joinChosen"),
        Output("desk-cases", "value"),
        Output("desk-change", "disabled"),
        Input("desk-chosen", "value"),
    )


def _keys(data: DataSource, pseudonyms: str) -> list[Any]:
    """The search for keys, and what is known of those that the address names."""
    if not pseudonyms:
        return [key_search(is_open=False)]
    numbers = [int(key, 16) for key in pseudonyms.split(",")]
    return [key_search(is_open=True), found_keys(numbers, data.casework.known_keys(numbers))]


def _query(search: str | None) -> tuple[dict[str, str], int]:
    """The query of the cases, and the page's number, that an address stands for."""
    given = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    number = given.get("page", "1")
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= 20_000):
        raise QueryError("bad_format", "page", "must be the number of a page")
    return {name: given[name] for name in PARAMETERS if given.get(name)}, int(number[:6])
