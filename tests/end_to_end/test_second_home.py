"""A second home with a root secret of its own is set to a database that is in use."""

from pathlib import Path

import pytest

from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import fetch, running, running_at, wait_for
from warehouse.engine import Engine
from warehouse.queries import health

pytestmark = pytest.mark.server
WHY = "were sealed under another key: PHAROS_SECRET must be the root secret of the home that filled it"


def test_a_home_with_another_root_secret_loads_nothing_and_says_why(tmp_path: Path) -> None:
    """It still takes beacons, which stay in its spool. The first home is not disturbed."""
    with running(tmp_path / "first", "server") as first:
        assert first.post([beacon() for _ in range(6)])[0] == 202
        first.drain()
        url, cluster = first.environ["PHAROS_CLICKHOUSE_URL"], first.environ["PHAROS_CLICKHOUSE_CLUSTER"]
        with running_at(url, tmp_path / "second", PHAROS_CLICKHOUSE_CLUSTER=cluster) as second:
            assert second.post(beacon())[0] == 202
            wait_for(lambda: WHY in str(fetch(f"{second.collector}/readyz")[1]), "its loader to say why")
            assert second.run("drain", "--timeout", "1").returncode == 1
            assert WHY in second.run("migrate").stderr.decode()
            told = second.run("doctor").stdout.decode()
            assert f"FAIL states       the license reports in the database {url.rpartition('/')[2]} {WHY}" in told
            status, answer = second.read("/api/v1/licensing/installs")
            assert status == 503
            assert "PHAROS_STATES_KEY must be set" in answer["detail"]
            assert WHY in second.log()
        status, answer = first.read("/api/v1/licensing/installs")
        assert (status, len(answer["rows"])) == (200, 6)
        engine = Engine(first.settings, Home(first.home))
        assert len(health.loaders(engine)) == 1
        engine.close()
        assert first.run("recount").returncode == 0
        assert "judging licenses failed" not in first.log()
