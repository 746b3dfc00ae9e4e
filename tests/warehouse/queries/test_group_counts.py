"""The counts of installs by bucket and key, where there is little or nothing to count."""

import itertools
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in, rows
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.queries import metrics
from warehouse.queries.metric_query import GRAINS
from warehouse.queries.questions import Terms, ask

ASKED = [
    ("installs", {}),
    ("installs", {"by": "php_series"}),
    ("installs", {"by": "module,version"}),
    ("installs", {"by": "php_series", "count": "latest"}),
    ("installs", {"by": "php_series,whmcs", "count": "latest"}),
    ("installs", {"by": "module", "count": "latest", "os": "debian"}),
    ("feature_installs", {}),
    ("feature_installs", {"by": "module,feature"}),
    ("feature_installs", {"by": "os_release", "php_series.ge": "8.0"}),
    ("feature_uses", {"by": "module,feature"}),
]


def answered(engine: Engine, _home: Home) -> dict[str, Any]:
    """Ask by every grain: of an empty database, then after an install that reports no feature."""
    migrate(engine)
    today = datetime.now(UTC).date()
    found: dict[str, Any] = {}
    for state in ("empty", "one"):
        for (metric, args), grain in itertools.product(ASKED, GRAINS):
            query = metrics.parse(metric, {**args, "grain": grain}, today)
            told = metrics.answer(engine, query, 1)["rows"]
            found[f"{state} {metric} {args} {grain}"] = {
                str(row.get("keys") or row["key"]): row["value"] for row in told if row["value"]
            }
        insert_batch(engine, "usage", str(uuid.uuid4()), [row.usage for row in rows([beacon(features={})])])
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_nothing_is_counted_where_nothing_was_reported(kind: str, tmp_path: Path) -> None:
    """Neither the lists of texts nor the groups may be empty for SQL that maps the one to the other."""
    found = done_in(kind, tmp_path, answered)
    for grain in GRAINS:
        for metric, args in ASKED:
            assert not found[f"empty {metric} {args} {grain}"]
            if metric != "installs":
                assert not found[f"one {metric} {args} {grain}"]
        assert list(found[f"one installs {{}} {grain}"].values()) == [1]
        assert (
            found[f"one installs {ASKED[1][1]} {grain}"] == found[f"one installs {ASKED[3][1]} {grain}"] == {"8.2": 1}
        )


def covered(engine: Engine, _home: Home) -> list[dict[str, int]]:
    """Ask two questions about features: of three installs one uses it, one reports it unused, one reports none."""
    migrate(engine)
    sent = [beacon(install_id=str(uuid.uuid4()), features=features) for features in ({"pdf": 2}, {"pdf": 0}, {})]
    insert_batch(engine, "usage", str(uuid.uuid4()), [row.usage for row in rows(sent)])
    today = datetime.now(UTC).date()
    return [ask(engine, "together", args, Terms(1), today, today)["coverage"] for args in ({}, {"php_series.ge": "5"})]


@pytest.mark.parametrize("kind", ENGINES)
def test_who_reports_a_feature_answers(kind: str, tmp_path: Path) -> None:
    """Whether it uses the feature or not."""
    assert done_in(kind, tmp_path, covered) == [{"active": 3, "answered": 2}] * 2
