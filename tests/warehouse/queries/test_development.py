"""The latest beacons of development keys, as loaders have inserted them."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse import migrate
from warehouse.engine import Engine
from warehouse.queries.development import Tried, latest
from warehouse.server_users import ServerUser


def moved(engine: Engine, home: Home) -> tuple[datetime, list[Tried], list[Tried]]:
    """What is read now after four beacons, one of them inserted twice and one of them a day old."""
    now = datetime.now(UTC).replace(microsecond=123_000)
    migrate.migrate(engine)
    assert latest(engine, 10) == []
    rows = []
    for hours, outcome, stored in (
        (25, "accepted", {}),
        (3, "rejected", {}),
        (2, "undeclared", {}),
        (1, "accepted", {"php": "8"}),
    ):
        received = (now - timedelta(hours=hours)).replace(tzinfo=None).isoformat(" ", "milliseconds")
        row = {
            "id": str(uuid.uuid4()), "received": received, "key": "1a2b", "outcome": outcome, "reason": "bad_format",
            "field": "platform.php", "clock_skewed": hours == 1, "stored": json.dumps(stored),
            "license_only": ["license.source"], "undeclared": {"feature": 2},
        }  # fmt: skip
        rows.append(json.dumps(row).encode())
    for lines in (rows, rows[1:2]):
        engine.as_user(ServerUser.LOADER).insert("development_beacons", lines, str(uuid.uuid4()))
    return now, latest(engine, 10), latest(engine, 1)


@pytest.mark.parametrize("kind", ENGINES)
def test_the_newest_come_first_and_each_once(kind: str, tmp_path: Path) -> None:
    """Those of the last 24 hours, with all that was told about them."""
    now, found, newest = done_in(kind, tmp_path, moved)
    assert [each.outcome for each in found] == ["accepted", "undeclared", "rejected"]
    assert newest == found[:1] == [
        Tried(
            now - timedelta(hours=1), "1a2b", "accepted", "bad_format", "platform.php", True, {"php": "8"},
            ["license.source"], {"feature": 2},
        )
    ]  # fmt: skip
