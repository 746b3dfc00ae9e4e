"""Fixtures for every test."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.system import DATABASES, drop_databases

TESTS = Path(__file__).parent

# These files, and those in these folders, wait for processes, browsers or engines, the slowest first. Each file is run
# by one worker, and a slow file that begins last would be all that is left to do.
SLOWEST_FIRST = (
    "end_to_end/test_browser_pages.py", "end_to_end/test_browser_frame.py", "end_to_end/test_browser_filters.py",
    "end_to_end/test_every_card.py", "end_to_end", "collector/rights", "faults", "pharos_cli", "client_php",
    "warehouse", "deploy", "collector", "fleet",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow files. Within a file, the order stays."""
    items.sort(key=lambda item: rank(item.path))


def pytest_collection_finish() -> None:
    """Let no collection of garbage walk through all that the tests are made of: it stays to the end."""
    gc.collect()
    gc.freeze()


def rank(path: Path) -> int:
    """The place of a file among the slow ones, by the longest name that it has there."""
    named = (str(each) for each in (path.relative_to(TESTS), *path.relative_to(TESTS).parents))
    return next((SLOWEST_FIRST.index(name) for name in named if name in SLOWEST_FIRST), len(SLOWEST_FIRST))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests for a ClickHouse server where there is none."""
    if item.get_closest_marker("server") and "CLICKHOUSE_URL" not in os.environ:
        pytest.skip("needs CLICKHOUSE_URL")


@pytest.fixture(scope="module", autouse=True)
def same_environment() -> Iterator[None]:
    """Undo what an engine changes in its process: a later browser needs a short path for temporary files."""
    environment, folder = os.environ.copy(), tempfile.tempdir
    yield
    drop_databases(0)
    tempfile.tempdir = folder
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(autouse=True)
def no_databases_left() -> Iterator[None]:
    """Drop the databases that a test made on the server. Those of its module's fixtures go after the module."""
    begin = len(DATABASES)
    yield
    drop_databases(begin)
