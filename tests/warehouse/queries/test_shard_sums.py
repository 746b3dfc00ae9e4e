"""On a cluster, shards send counts and no rows or sets of installs."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.home import Home
from core.settings import Settings
from tests.bench import figures
from tests.end_to_end.system import clickhouse_url
from warehouse.engine import Engine, EngineError
from warehouse.migrate import migrate
from warehouse.queries import metrics
from warehouse.queries.questions import QUESTIONS, Terms, ask
from warehouse.server_users import ServerUser

INSTALLS, DAYS = 60_000, 2
# The 30,000 installs of the other shard take 240,000 bytes as bare pseudonyms, and are spread over few groups.
MOST_BYTES = 120_000


class Metered(Engine):
    """An engine whose statements may not move more than `MOST_BYTES` between servers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.cluster, self.database, self.planes = engine.cluster, engine.database, engine.planes

    def as_user(self, account: ServerUser) -> Engine:
        return Metered(self._engine.as_user(account))

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        limit = {"max_network_bytes": MOST_BYTES, "prefer_localhost_replica": 1}
        return self._engine.query(sql, parameters, {**(settings or {}), **limit})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if "CLICKHOUSE_CLUSTER" not in os.environ:
        pytest.skip("needs CLICKHOUSE_CLUSTER")
    home = Home(tmp_path_factory.mktemp("home"))
    cluster = os.environ["CLICKHOUSE_CLUSTER"]
    engine = Engine(Settings(home=home.path, clickhouse_url=clickhouse_url("server"), clickhouse_cluster=cluster), home)
    migrate(engine)
    figures.fill(engine, INSTALLS * DAYS, DAYS)
    yield engine
    engine.close()


@pytest.mark.server
def test_a_statement_that_moves_installs_is_noticed(engine: Engine) -> None:
    """The limit of these tests works."""
    with pytest.raises(EngineError, match=r"[Ll]imit"):
        Metered(engine).query("SELECT uniqExact(install) FROM installs_by_month")


@pytest.mark.server
@pytest.mark.parametrize("name", figures.QUESTIONS)
def test_a_question_moves_counts_alone(engine: Engine, name: str) -> None:
    """Each question of the benchmark is answered, and fewer bytes travel than the installs have."""
    metric, arguments = figures.QUESTIONS[name]
    today = datetime.now(UTC).date()
    arguments = {key: value for key, value in arguments.items() if key != "days"}
    if metric in QUESTIONS:
        yesterday = today - timedelta(days=1)
        assert ask(Metered(engine), metric, arguments, Terms(5), today, yesterday)["metric"] == metric
    else:
        rows = metrics.answer(Metered(engine), metrics.parse(metric, arguments, today), 5)["rows"]
        assert any(row["value"] for row in rows)
