"""The latest beacons of development keys. They are of no real install, so k does not apply."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from warehouse.engine import Engine
from warehouse.server_users import ServerUser

HOURS = 24


@dataclass(frozen=True)
class Tried:
    """What became of a beacon, as `collector/development.py` says. `key` is the id of the development key."""

    received: datetime
    key: str
    outcome: str
    reason: str
    field: str
    clock_skewed: bool
    stored: Mapping[str, Any]
    license_only: Sequence[str]
    undeclared: Mapping[str, int]


def latest(engine: Engine, most: int) -> list[Tried]:
    """Return the beacons of the last 24 hours, the newest first. Raises `EngineError`."""
    rows = engine.as_user(ServerUser.PRODUCT).query(
        "SELECT toUnixTimestamp64Milli(received), key::String, outcome::String, reason::String, field::String, "
        "clock_skewed, stored, arrayMap(one -> one::String, license_only), toJSONString(undeclared) "
        "FROM development_beacons WHERE received > now64(3) - toIntervalHour({hours:UInt16}) "
        "ORDER BY received DESC, id LIMIT 1 BY id LIMIT {most:UInt32}",
        {"hours": HOURS, "most": most},
    )
    return [
        Tried(
            datetime.fromtimestamp(received / 1000, UTC), key, outcome, reason, field, bool(skewed), json.loads(stored),
            list(license_only), {kind: int(times) for kind, times in json.loads(undeclared).items()},
        )
        for received, key, outcome, reason, field, skewed, stored, license_only, undeclared in rows
    ]  # fmt: skip
