"""How long a batch of unknown outcome can be retried while other loaders continue."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import loader as loader_module
from collector.batch_insert import insert_batch
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import clickhouse_url
from tests.warehouse.engines import engine_at
from tests.warehouse.test_engine import rows, uses
from warehouse import recount
from warehouse.engine import Engine
from warehouse.migrate import TOKENS, migrate

WEEK = 7 * 86_400
WITH_SUMS = ("usage_beacons", "features_by_month")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = engine_at(clickhouse_url("server"), tmp_path)
    migrate(engine)
    yield engine
    engine.close()


def test_five_loaders_bring_no_more_batches_in_a_week_than_the_tables_remember() -> None:
    """The pause after each small batch limits the number of tokens per week."""
    assert 5 * WEEK / loader_module.PAUSE_SECONDS <= TOKENS * 1.01


@pytest.mark.server
def test_the_tables_with_sums_remember_a_week_of_tokens(engine: Engine) -> None:
    """The deduplication window is long enough by count and, on replicated tables, by time."""
    end = "_local" if engine.cluster else ""
    for table in WITH_SUMS:
        ((created,),) = engine.query(
            "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
            {"name": table + end},
        )
        found = dict(re.findall(r"(\w*deduplication_window\w*) = (\d+)", created))
        if engine.cluster:
            assert int(found["replicated_deduplication_window"]) == TOKENS
            assert int(found["replicated_deduplication_window_seconds"]) > WEEK
        else:
            assert int(found["non_replicated_deduplication_window"]) == TOKENS


@pytest.mark.server
def test_a_batch_is_known_after_many_of_other_loaders(engine: Engine) -> None:
    """A retried batch is dropped after many batches of other loaders."""
    id = str(uuid.uuid4())
    lines = [row.usage for row in rows([beacon() for _ in range(5)])]
    insert_batch(engine, "usage", id, lines)
    for _ in range(40):
        for _ in range(3):
            insert_batch(engine, "usage", str(uuid.uuid4()), [row.usage for row in rows([beacon()])])
    insert_batch(engine, "usage", id, lines)
    assert uses(engine) == 125
    assert recount.differences(engine) == []
