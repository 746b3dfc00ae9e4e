"""Fixtures for every test."""

import os
import tempfile
from collections.abc import Iterator

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests for a ClickHouse server where there is none."""
    if item.get_closest_marker("server") and "CLICKHOUSE_URL" not in os.environ:
        pytest.skip("needs CLICKHOUSE_URL")


@pytest.fixture(scope="module", autouse=True)
def same_environment() -> Iterator[None]:
    """Undo what an engine changes in its process: a later browser needs a short path for temporary files."""
    environment, folder = os.environ.copy(), tempfile.tempdir
    yield
    tempfile.tempdir = folder
    os.environ.clear()
    os.environ.update(environment)
