"""The rejected beacons and requests, by reason and field. They are of no install, so k does not apply."""

from dataclasses import dataclass
from datetime import date

from warehouse.engine import Engine
from warehouse.server_users import ServerUser


@dataclass(frozen=True)
class Rejections:
    """Rejections of one reason at one field: how many in the span, and the first and the last day with any.

    `field` is "" where the whole beacon or request was rejected.
    """

    reason: str
    field: str
    times: int
    first: date
    last: date


def rejections(engine: Engine, start: date, end: date) -> list[Rejections]:
    """Return the rejections from `start` to `end`, the most frequent first. Raises `EngineError`."""
    rows = engine.as_user(ServerUser.PRODUCT).query(
        "SELECT reason::String, field::String, sum(most) AS number, min(day), max(day) FROM ("
        "SELECT loader, day, reason, field, max(times) AS most FROM rejections "
        "WHERE day BETWEEN {start:Date} AND {end:Date} GROUP BY loader, day, reason, field"
        ") GROUP BY reason, field ORDER BY number DESC, reason, field",
        {"start": start, "end": end},
    )
    return [Rejections(*row) for row in rows]
