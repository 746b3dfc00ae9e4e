"""One case: its evidence with what else may explain it, its installs, what happened, and what to do about it."""

from datetime import UTC, datetime
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, html
from flask_login import current_user

from dashboard import messages
from dashboard.casework import NoSuchCase, Person
from dashboard.data_source import DataSource
from dashboard.pages.case.evidence import evidence
from dashboard.pages.case.installs import compared, installs, key_look_up
from dashboard.pages.case.timeline import timeline
from dashboard.pages.case.work import head, work
from dashboard.pages.desk.outcome import outcome
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region

PARTS = ("head", "work", "evidence", "installs", "look_up", "timeline")


def layout() -> html.Div:
    """The page without its case."""
    return html.Div(
        [
            html.Div(id="case-outcome", role="status"),
            *region("case", *(html.Div(id=f"case-{part}") for part in PARTS)),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the page."""
    outputs = [Output(f"case-{part}", "children") for part in (*PARTS, "outcome")]

    @fill(callbacks, page, "case", outputs, Input("url", "pathname"), Input("url", "search"))
    def case(pathname: str | None, search: str) -> Instead | tuple[Any, ...]:
        name = (pathname or "").strip("/").rpartition("/")[2]
        try:
            opened = data.casework.open(Person(current_user.name, current_user.role), "case", name)
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

    dash_app.clientside_callback(ClientsideFunction("pharos", "forgetOutcome"), Input("case-outcome", "children"))
