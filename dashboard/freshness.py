"""How fresh a page's figures are, and why they are not fresher: nobody should take what is not loaded for a drop."""

from datetime import UTC, datetime
from typing import Any

from dash import html

from dashboard.data_source import DataSource
from dashboard.formatting import duration, moment
from dashboard.messages import warning
from warehouse.queries.health import LATE, Loader

MOST_NAMED = 3


def describe(data: DataSource, fresh_to: str | None) -> tuple[str, Any]:
    """For the page's heading: up to when the figures go, and a notice where that is too long ago.

    Raises `EngineError`.
    """
    now = datetime.now(UTC)
    if fresh_to is None:
        return "", stale(None, [], now)
    moment_of = datetime.fromisoformat(fresh_to)
    late = now - moment_of > LATE
    return f"Data up to {moment(fresh_to)}", stale(moment_of, data.loaders(), now) if late else ""


def stale(fresh_to: datetime | None, loaders: list[Loader], now: datetime) -> html.Div:
    """The notice: from when on beacons are missing in the figures, and why."""
    if fresh_to is None:
        return warning(
            "No loader was heard of in the last 7 days",
            [html.P("Beacons are accepted and kept, and come into the figures once a loader runs.")],
        )
    late = [loader for loader in loaders if loader.late(now)]
    more = [html.P(f"And {len(late) - MOST_NAMED} loaders more.")] if len(late) > MOST_NAMED else []
    return warning(
        f"Beacons received after {moment(fresh_to)} are not all in the figures yet ({duration(now - fresh_to)})",
        [
            *(html.P(f"Loader {loader.id} {why(loader, now)}.") for loader in late[:MOST_NAMED]),
            *more,
            html.P("They are kept, and will be counted. Until then a drop at the end of a line may be none."),
        ],
    )


def why(loader: Loader, now: datetime) -> str:
    """What keeps a loader that is late, in words that complete its name."""
    if loader.silent(now):
        trouble = f"; before that it could not load: {loader.trouble}" if loader.trouble else ""
        return (
            f"was last heard of on {moment(loader.written)} ({duration(now - loader.written)} ago), so it is stopped "
            f"or does not reach ClickHouse{trouble}"
        )
    if loader.trouble:
        since = loader.trouble_since or loader.written
        return f"cannot load since {moment(since)} ({duration(now - since)}): {loader.trouble}"
    return "is catching up"
