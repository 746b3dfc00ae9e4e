"""One case: its evidence with what else may explain it, its installs, what happened, and what to do about it."""

import json
from datetime import UTC, datetime
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask_login import current_user

from dashboard import mantine as dmc
from dashboard import messages
from dashboard.cases_api import answer_of
from dashboard.casework import NoSuchCase
from dashboard.data_source import DataSource, asker
from dashboard.icons import icon
from dashboard.pages.case.evidence import evidence
from dashboard.pages.case.installs import compared, installs, key_look_up
from dashboard.pages.case.timeline import timeline
from dashboard.pages.case.work import head, work
from dashboard.pages.desk.outcome import outcome
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, message, region

PARTS = ("head", "work", "evidence", "installs", "look_up", "timeline")


def layout() -> html.Div:
    """The page without its case."""
    return html.Div(
        [
            html.Div(id="case-outcome", role="status"),
            dcc.Download(id="case-file"),
            message("case-json"),
            *region("case", html.Div(id="case-head"), _file(), *(html.Div(id=f"case-{part}") for part in PARTS[1:])),
        ]
    )


def _file() -> dmc.Button:
    return dmc.Button(
        "JSON", id="case-json", leftSection=icon("download"), variant="default", size="xs", mb="md",
        **{"aria-label": "Download the case as JSON"},
    )  # fmt: skip


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    outputs = [Output(f"case-{part}", "children") for part in (*PARTS, "outcome")]

    @fill(callbacks, page, "case", outputs, Input("url", "pathname"), Input("url", "search"))
    def case(pathname: str | None, search: str) -> Instead | tuple[Any, ...]:
        name = _name(pathname)
        try:
            opened = data.casework.open(asker(), "case", name)
        except NoSuchCase:
            return Instead(messages.no_such_case())
        seconds = data.k == 1
        return (
            head(opened),
            work(opened, current_user.name, data.casework.people()),
            evidence(opened.dossier, datetime.now(UTC).date()),
            installs(opened, seconds=seconds),
            key_look_up(opened, search),
            timeline(opened, seconds=seconds),
            outcome(search, name) or compared(opened, search),
        )

    @fill(
        callbacks,
        page,
        "case-json",
        [Output("case-file", "data")],
        Input("case-json", "n_clicks"),
        State("url", "pathname"),
        content=False,
        prevent_initial_call=True,
    )
    def file(_clicks: int, pathname: str | None) -> Instead | tuple[dict[str, Any]]:
        name = _name(pathname)
        try:
            opened = data.casework.open(asker(), "case json", name)
        except NoSuchCase:
            return Instead(messages.no_such_case())
        content = json.dumps(answer_of(opened, seconds=data.k == 1), indent=2, ensure_ascii=False)
        return ({"content": content, "filename": f"pharos-{name}.json", "type": "application/json"},)

    dash_app.clientside_callback(ClientsideFunction("pharos", "forgetOutcome"), Input("case-outcome", "children"))


def _name(pathname: str | None) -> str:
    return (pathname or "").strip("/").rpartition("/")[2]
