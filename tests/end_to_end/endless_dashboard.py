"""`pharos dashboard` whose questions do not end by themselves; `feature_installs` returns how many are running.

Run it as a module.
"""

from typing import Any

from dashboard import server
from pharos.cli import cli
from warehouse.engine import Engine
from warehouse.queries import metrics
from warehouse.queries.metrics import MetricQuery
from warehouse.server_users import ServerUser

ENDLESS = "SELECT count() AS endless FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 0"
RUNNING = "SELECT count() FROM system.processes WHERE query LIKE '%AS endless%' AND query NOT LIKE '%system%'"


def answer(engine: Engine, query: MetricQuery, *_args: Any, **_more: Any) -> dict[str, Any]:
    """Answer in place of `metrics.answer`."""
    if query.metric == "feature_installs":
        return {"running": engine.query(RUNNING)[0][0]}
    engine.as_user(ServerUser.PRODUCT).query(ENDLESS)
    raise AssertionError("an endless question has ended")


if __name__ == "__main__":
    metrics.answer = answer
    server._warm = lambda engine: None
    cli(["dashboard"])
