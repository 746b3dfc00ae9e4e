"""What happened to cases: two loaders that judge one key at the same moment write one event, not two."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from collector.loader import Loader
from collector.planes import Planes
from collector.spool import Spool
from core.catalog import Catalog
from core.home import Home
from core.settings import Settings
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.cases.test_listing import flag, raise_flags
from tests.warehouse.test_engine import done_in
from warehouse.cases.events import CaseEvent, events
from warehouse.engine import Engine
from warehouse.licensing import flags, state_rows
from warehouse.licensing.flags import Flag
from warehouse.licensing.judge import Judge
from warehouse.migrate import migrate

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=1)
HOLDERS, DAYS = 5, 8


def load(engine: Engine, home: Home) -> None:
    """Load a week of reports: several installs in networks of their own use one key, and the last has none."""
    planes, spool = Planes(bytes(32)), Spool(home.path / "spool.sqlite")
    rows = []
    for number in range(HOLDERS + 1):
        has_key = number < HOLDERS
        license = {"status": "licensed", "source": "whmcs", **({"key_hash": "ab" * 32} if has_key else {})}
        if not has_key:
            license["status"] = "unlicensed"
        for back in range(DAYS):
            at = NOW - timedelta(days=back, minutes=number)
            id = str(UUID(int=number + 1, version=4))
            one = beacon(install_id=id, sent_at=at.isoformat(), license=license, module={"name": "m", "version": "1.0"})
            rows.append(planes.split(one, f"203.{number}.113.9", NOW, keep_date=True).row())
    spool.store(rows, NOW.timestamp())
    loader = Loader(spool, engine)
    while loader.step():
        pass
    spool.close()


def told(engine: Engine) -> dict[str, CaseEvent]:
    return {event.id: event for event in events(engine, LONG_AGO)[0]}


def racing(engine: Engine, home: Home) -> dict[str, Any]:
    """A loader judges; before it writes, another one judges the same and writes."""
    migrate(engine)
    load(engine, home)
    one, other = (
        Judge(engine, Settings(), lambda: Catalog(), clock=lambda late=late: NOW.timestamp() + late)  # type: ignore[misc]
        for late in (0.0, 0.05)
    )
    pairs = state_rows.after(engine, ("", 0), 100)
    write = flags.write
    found: dict[str, Any] = {"written": []}

    def noted(loading: Engine, made: Sequence[Flag], token: str) -> None:
        found["written"].append({(each.rule, each.install, each.revision, each.at) for each in made})
        write(loading, made, token)

    def after_the_other(*args: Any) -> None:
        with patch.object(flags, "write", noted):
            other.judge(pairs)
        found["the other"] = told(engine)
        noted(*args)

    with patch.object(flags, "write", after_the_other):
        one.judge(pairs)
    found["both"] = told(engine)
    engine.command(f"OPTIMIZE TABLE {engine.altered('license_flags')} FINAL")
    found["merged"] = told(engine)
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_two_loaders_at_once_write_one_event(kind: str, tmp_path: Path) -> None:
    """The id follows from what happened, and not from when a loader wrote it; also after ClickHouse merged the rows."""
    found = done_in(kind, tmp_path, racing)
    late, early = found["written"]
    assert {row[:3] for row in late} == {row[:3] for row in early}
    # All were seen first on the same day, so none of them is taken for the owner.
    assert Counter(rule for rule, *_ in early) == {"shared_key": HOLDERS, "unlicensed": 1}
    assert not late & early  # each at its own time
    assert {(event.kind, event.subject.kind) for event in found["both"].values()} == {
        ("flag.raised", "key"), ("flag.raised", "install")
    }  # fmt: skip
    assert found["the other"].keys() == found["both"].keys() == found["merged"].keys()
    assert len(found["both"]) == 2


def life(engine: Engine, _home: Home) -> list[str]:
    """A flag about a key is raised, reaches one more install, is cleared, and raised again."""
    migrate(engine)
    step = timedelta(minutes=1)
    holders = [flag(number, "shared_key", key=9, reach=3, at=NOW) for number in (1, 2, 3)]
    raise_flags(engine, holders, "raised")
    raise_flags(engine, [flag(4, "shared_key", key=9, reach=4, at=NOW + step)], "one more")
    for revision, event in ((2, "cleared"), (3, "raised"), (4, "paused"), (5, "resumed"), (6, "paused")):
        again = [
            flag(number, "shared_key", key=9, reach=4, revision=revision, event=event, at=NOW + revision * step)
            for number in (1, 2, 3, 4)
        ]
        raise_flags(engine, again, event + str(revision))
    return [event.kind for event in told(engine).values()]


def test_what_happens_again_is_another_event(tmp_path: Path) -> None:
    """Each step in the life of a flag has an id of its own."""
    names = ("raised", "raised", "cleared", "raised", "paused", "resumed", "paused")
    assert done_in("embedded", tmp_path, life) == [f"flag.{name}" for name in names]
