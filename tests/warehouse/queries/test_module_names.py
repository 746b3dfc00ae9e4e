"""The module filter: all modules of k installs or more, also where figures are estimated."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from core.home import Home
from tests.bench.estimates import sampled_beyond
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in, rows
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.queries import metrics, module_names

SIZES = {"large": 60, "middle": 20, "small": 6, "tiny": 2}


def asked(engine: Engine, home: Home) -> dict[str, Any]:
    """Load the modules; ask for them with several k, and for an estimate by module."""
    migrate(engine)
    today = datetime.now(UTC).date()
    # Always the same installs, so that the sample has the same ones.
    beacons = [
        beacon(
            module={"name": name, "version": "1.0"}, install_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {number}"))
        )
        for name, installs in SIZES.items()
        for number in range(installs)
    ]
    insert_batch(engine, "usage", str(uuid.uuid4()), [row.usage for row in rows(beacons)])
    tomorrow = today + timedelta(days=1)
    found: dict[str, Any] = {str(k): module_names.names(engine, k, tomorrow, None) for k in (1, 3, 7, 10, 21, 80, 90)}
    found["before"] = module_names.names(engine, 1, today - timedelta(days=8), None)
    found["stepped"] = module_names.names(engine, 7, tomorrow, today - timedelta(days=8))
    query = metrics.parse("installs", {"by": "module", "grain": "period"}, today)
    with sampled_beyond(11):
        found["estimate"] = {row["key"] for row in metrics.answer(engine, query, 7)["rows"]}
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_all_modules_of_enough_installs_are_named(kind: str, tmp_path: Path) -> None:
    """Small modules are not named, nor the next smallest while the folded are fewer than k together."""
    found = done_in(kind, tmp_path, asked)
    assert "middle" not in found.pop("estimate")  # which is why the names do not come from there
    assert found == {
        "1": ["large", "middle", "small", "tiny"],
        "3": ["large", "middle"],  # with tiny alone, one would know of its two
        "7": ["large", "middle"],
        "10": ["large"],  # small and tiny are eight, so middle is folded too
        "21": ["large"],
        "80": [],
        "90": [],
        "before": [],
        "stepped": ["large", "middle"],
    }
