"""A second home with a root secret of its own is set to a database that is in use."""

from pathlib import Path

import pytest

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import running, running_at, wait_for

pytestmark = pytest.mark.server
WHY = "were sealed under another key: PHAROS_SECRET must be the root secret of the home that filled it"


def test_a_home_with_another_root_secret_says_so_and_disturbs_no_other(tmp_path: Path) -> None:
    """Each home reads the license reports of its own installs, and figures have those of both."""
    with running(tmp_path / "first", "server") as first:
        assert first.post([beacon() for _ in range(6)])[0] == 202
        first.drain()
        url, cluster = first.environ["PHAROS_CLICKHOUSE_URL"], first.environ["PHAROS_CLICKHOUSE_CLUSTER"]
        with running_at(url, tmp_path / "second", PHAROS_CLICKHOUSE_CLUSTER=cluster) as second:
            wait_for(lambda: WHY in second.log(), "its loader to say so")
            status, answer = second.read("/api/v1/licensing/installs")
            assert status == 503
            assert "PHAROS_STATES_KEY must be set" in answer["detail"]
            assert second.post(beacon())[0] == 202
            second.drain()
            status, answer = second.read("/api/v1/licensing/installs")
            assert (status, len(answer["rows"])) == (200, 1)
            told = second.run("doctor").stdout.decode()
            assert f"FAIL states       the license reports in the database {url.rpartition('/')[2]} {WHY}" in told
        status, answer = first.read("/api/v1/licensing/installs")
        assert (status, len(answer["rows"])) == (200, 6)
        assert "judging licenses failed" not in first.log()
