import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client_php.paper import DAY, Collector, Host, paper_collector
from tests.client_php.whmcs_host import database, whmcs

__all__ = ["database", "whmcs"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with paper_collector() as paper:
        yield paper


@pytest.fixture
def host(collector: Collector, tmp_path: Path) -> Host:
    # At noon, so that a test means the same at each hour of the day.
    return Host(collector.url, tmp_path, shift=DAY // 2 - int(time.time()) % DAY)
