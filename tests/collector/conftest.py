"""Fixtures of the collector's tests: a running collector, a spool, and reproducible hypothesis searches."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from collector.spool import Spool
from tests.collector.live import KEY, Collector

# Not shrunk: of a beacon that takes minutes.
settings.register_profile("same-each-time", derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile("same-each-time")


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with two workers, no rate limit and no proxy."""
    with Collector(tmp_path_factory.mktemp("collector") / "home", PHAROS_INGEST_KEY=KEY) as collector:
        yield collector


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A new spool."""
    opened = Spool(tmp_path / "spool.sqlite")
    yield opened
    opened.close()
