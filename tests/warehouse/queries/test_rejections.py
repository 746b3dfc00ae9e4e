"""The counts of rejected beacons, as several loaders tell them."""

import json
import uuid
from datetime import date
from pathlib import Path

import pytest

from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse import migrate
from warehouse.engine import Engine
from warehouse.queries.rejections import Rejections, rejections
from warehouse.server_users import ServerUser


def told(engine: Engine, home: Home) -> list[list[Rejections]]:
    """What is read after two loaders told their counts, one of them more than once and in any order."""
    migrate.migrate(engine)
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    for loader, day, reason, field, times in (
        (one, "2026-11-01", "bad_format", "module.name", 3),
        (one, "2026-11-01", "bad_format", "module.name", 5),
        (one, "2026-11-01", "bad_format", "module.name", 4),
        (other, "2026-11-01", "bad_format", "module.name", 2),
        (one, "2026-11-03", "bad_format", "module.name", 1),
        (one, "2026-11-02", "unauthorized", "", 9),
        (one, "2026-10-31", "unauthorized", "", 100),
    ):
        row = {"loader": loader, "day": day, "reason": reason, "field": field, "times": times}
        engine.as_user(ServerUser.LOADER).insert("rejections", [json.dumps(row).encode()], str(uuid.uuid4()))
    return [rejections(engine, date(2026, 11, 1), date(2026, 11, day)) for day in (3, 1)]


@pytest.mark.parametrize("kind", ENGINES)
def test_each_day_counts_once_for_each_loader(kind: str, tmp_path: Path) -> None:
    """The highest count of a day is its count, and the loaders add up."""
    days, day = done_in(kind, tmp_path, told)
    assert days == [
        Rejections("unauthorized", "", 9, date(2026, 11, 2), date(2026, 11, 2)),
        Rejections("bad_format", "module.name", 8, date(2026, 11, 1), date(2026, 11, 3)),
    ]
    assert day == [Rejections("bad_format", "module.name", 7, date(2026, 11, 1), date(2026, 11, 1))]
