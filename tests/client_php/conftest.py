from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client_php.paper import Collector, Host, paper_collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with paper_collector() as paper:
        yield paper


@pytest.fixture
def host(collector: Collector, tmp_path: Path) -> Host:
    return Host(collector.url, tmp_path)
