"""What a page says when it has no figures to show, and what may be done about it."""

from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import html

from core.access_log import AccessLogError
from dashboard.data_source import DataSource
from dashboard.formatting import duration, fewer, moment
from warehouse.engine import EngineError, Trouble
from warehouse.limited_engine import LimitExceeded
from warehouse.queries.metrics import QueryError

NAMES = {
    "from": "The first day",
    "to": "The last day",
    "grain": "The grain",
    "module": "The module",
    "status": "The status",
}


def notice(error: QueryError | EngineError | AccessLogError) -> html.Div:
    """The page's one message when its figures cannot be had."""
    if isinstance(error, AccessLogError):
        return _not_recorded()
    if isinstance(error, LimitExceeded):
        return _too_expensive(error)
    return _bad_address(error) if isinstance(error, QueryError) else _engine_away(error.trouble)


def _bad_address(error: QueryError) -> html.Div:
    return warning(
        "This address holds a value that cannot be used",
        [
            html.P(f"{NAMES.get(error.param, 'A part')} ({error.param}) {error.detail}."),
            dmc.Anchor("Show the last 30 days", href="?", refresh=True),
        ],
    )


def _too_expensive(error: LimitExceeded) -> html.Div:
    return warning(
        "This is too much to ask at once",
        [
            html.P(f"The question was ended: {error}. Choose fewer days or one module."),
            dmc.Anchor("Show the last 30 days", href="?", refresh=True),
        ],
    )


def _engine_away(trouble: Trouble | None) -> html.Div:
    return warning(
        f"The figures cannot be read right now: ClickHouse {away(trouble, datetime.now(UTC))}",
        [
            html.P("Beacons are still accepted and kept; they will be counted as soon as it is back."),
            dmc.Anchor("Try again", href="", refresh=True),
        ],
    )


def _not_recorded() -> html.Div:
    return warning(
        "The access log cannot be used, so nothing is shown",
        [
            html.P("Every look at the license plane is recorded first. The operator's log says what is wrong."),
            dmc.Anchor("Try again", href="", refresh=True),
        ],
    )


def away(trouble: Trouble | None, now: datetime) -> str:
    """What ClickHouse does instead of answering, and since when, in words that complete its name."""
    if trouble is None:
        return "does not answer"
    since = "since" if trouble.exact else "at least since"
    return f"{trouble.message}, {since} {moment(trouble.since)} ({duration(now - trouble.since)})"


def warning(title: str, text: list[Any]) -> html.Div:
    """A notice that stands above the figures."""
    return html.Div([html.Strong(title), *text], className="notice")


def empty(anything_yet: bool) -> Any:
    """In place of the charts when nothing came in the range, or nothing ever."""
    if anything_yet:
        title, text = "No beacons in this range", "Choose other days or another module."
    else:
        title = "No beacons yet"
        text = "Post a first beacon: the README has the curl line. It counts within ten seconds."
    return html.Div([dmc.Text(title, fw=600), dmc.Text(text, c="dimmed", size="sm")], className="empty")


def too_few(k: int) -> Any:
    """In place of the charts when all installs of the range together are under k, or the module leaves out too few."""
    return html.Div(
        [
            dmc.Text("Too few installs in this range to show", fw=600),
            dmc.Text(f"Beacons arrive. So that none can be told apart, {fewer(k)} installs are not shown, nor the "
                     f"smallest module beside a group of {fewer(k)}.", c="dimmed", size="sm"),
        ],
        className="empty",
    )  # fmt: skip


def rounding(data: DataSource) -> str:
    """The sentence of a page with rounded figures."""
    return f"Installs are rounded down to multiples of {data.k}, uses to two digits. " if data.rounded else ""


def no_features() -> Any:
    """In place of the table when there are installs, and none of them used a feature."""
    return html.Div(
        [
            dmc.Text("No feature was used in this range", fw=600),
            dmc.Text("Installs were active; their beacons counted no use of a feature.", c="dimmed", size="sm"),
        ],
        className="empty",
    )


def none_reported(anything_yet: bool) -> Any:
    """In place of the licensing rows when there are none."""
    if not anything_yet:
        return empty(anything_yet=False)
    return html.Div(
        [
            dmc.Text("Nothing to look at", fw=600),
            dmc.Text("No install reports a status like that.", c="dimmed", size="sm"),
        ],
        className="empty",
    )


def nothing_asked() -> Any:
    """In place of the requests of owners when there are none."""
    return html.Div(
        [
            dmc.Text("Nobody asked yet", fw=600),
            dmc.Text("Requests come by POST /v1/rights, or by pharos rights request.", c="dimmed", size="sm"),
        ],
        className="empty",
    )


def no_access() -> Any:
    """In place of a page that is not open to this role."""
    return html.Div(
        [
            dmc.Title("Not open to your role", order=1, size="h2"),
            dmc.Text("An administrator can give you a login of another role.", c="dimmed"),
            dmc.Anchor("Go to the overview", href="/"),
        ],
        className="empty",
    )
