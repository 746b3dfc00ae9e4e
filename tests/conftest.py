"""Fixtures for every test."""

import os
import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def same_environment() -> Iterator[None]:
    """Undo what an engine changes in its process: a later browser needs a short path for temporary files."""
    environment, folder = os.environ.copy(), tempfile.tempdir
    yield
    tempfile.tempdir = folder
    os.environ.clear()
    os.environ.update(environment)
