"""One group that is counted without the others of its grouping: it must be told just where they tell it."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.queries import metrics, single_group
from warehouse.queries.bucket_groups import BucketGroups
from warehouse.queries.metric_query import GRAINS
from warehouse.queries.small_groups import Group

K = 5
DAYS = 5
# Each feature has users with a chance of its own, and each module is as large as its number of installs.
FEATURES = {f"feature.{number}": 0.85**number for number in range(20)}
MODULES = {"invoice_pro": 60, "bulk_mailer": 35, "domain_sync": 9, "tax_desk": 6, "chat_box": 3}
FILTERS = [
    *({"feature": name, "by": "none"} for name in [*FEATURES][::2]),
    *({"feature": name, "by": "none", "php_series.ge": "8.1"} for name in ("feature.0", "feature.9")),
    *({"feature": name, "by": "none", "module": "invoice_pro"} for name in ("feature.1", "feature.12")),
    *({"module": name} for name in MODULES),
    {"module": "invoice_pro", "by": "php_series"},
    {"feature": "feature.3", "by": "php_series"},
]


def _sent(now: datetime) -> Iterator[dict[str, Any]]:
    chance = random.Random(5)
    for module, installs in MODULES.items():
        for _ in range(installs):
            install, used = str(uuid.UUID(int=chance.getrandbits(128))), [*FEATURES]
            used = [name for name in used if chance.random() < FEATURES[name]]
            for ago in range(DAYS):
                if chance.random() < 0.7:
                    yield beacon(
                        sent_at=(now - timedelta(days=ago)).isoformat(),
                        module={"name": module, "version": "3.2.1"},
                        install_id=install,
                        platform={"php": chance.choice(["8.0.1", "8.1.2", "8.2.3"])},
                        features={name: chance.randrange(3) for name in used},
                    )


def answered(engine: Engine, _home: Home) -> dict[str, int]:
    """Ask all with single groups and without, at each grain; return how often a single group was enough."""
    migrate(engine)
    now = datetime.now(UTC)
    planes = Planes(b"root secret of the tests")
    splits = [planes.split(one, "198.51.100.7", datetime.fromisoformat(one["sent_at"])) for one in _sent(now)]
    insert_batch(engine, "usage", str(uuid.uuid4()), [encode(split.usage) for split in splits])
    found = {"enough": 0, "not enough": 0}
    single, large = single_group.rows, BucketGroups.large

    def backwards(self: BucketGroups) -> dict[str, list[Group]]:
        """ClickHouse returns groups in any order."""
        return dict(reversed(large(self).items()))

    def noted(*args: Any) -> Any:
        told = single(*args)
        found["enough" if told is not None else "not enough"] += 1
        return told

    for args in FILTERS:
        metric = "feature_installs" if "feature" in args else "installs"
        for grain in GRAINS:
            # Without an empty bucket, after which an answer would be sorted anew.
            span = {"from": str(now.date() - timedelta(days=DAYS - 1)), "grain": grain}
            asked = metrics.parse(metric, {**args, **span}, now.date())
            with patch.object(single_group, "rows", noted), patch.object(BucketGroups, "large", backwards):
                told = metrics.answer(engine, asked, K)
            with patch.object(single_group, "rows", lambda *args: None):
                assert told == metrics.answer(engine, asked, K), (args, grain)
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_a_single_group_is_told_where_the_grouping_tells_it(kind: str, tmp_path: Path) -> None:
    """Also where the group that proves it is small in some buckets, or absent."""
    found = done_in(kind, tmp_path, answered)
    assert found["enough"] > 20
    assert found["not enough"] > 20
