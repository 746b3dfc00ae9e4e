"""Tests that failed run again if a day ended meanwhile or, in CI, if they are few, and only then."""

from datetime import date
from pathlib import Path

import pytest

from tests.run_again import FAILED, run

TESTS = """
from pathlib import Path

def count(name):
    with Path(__file__).with_name(name).open("a") as runs:
        runs.write("x")
    return Path(__file__).with_name(name).stat().st_size

def test_that_is_steady():
    count("steady")

def test_that_passes_at_the_next_run():
    assert count("unsteady") == 2

def test_that_passes_at_the_third_run():
    assert not count("wrong") < {wrong}
"""


@pytest.mark.parametrize(
    ("days", "few", "wrong", "status", "runs"),
    [
        ([1, 2], 0, 0, 0, (1, 2)),
        ([1, 2], 0, 3, FAILED, (1, 2)),
        ([1, 1], 0, 0, FAILED, (1, 1)),
        ([1, 1], 1, 0, 0, (1, 2)),
        ([1, 1], 1, 3, FAILED, (1, 1)),
        ([1, 1], 2, 3, FAILED, (1, 2)),
    ],
    ids=[
        "the day ended",
        "one failed again",
        "the same day",
        "few failed",
        "too many failed",
        "one of few failed again",
    ],
)
def test_what_failed_runs_again(
    days: list[int], few: int, wrong: int, status: int, runs: tuple[int, int], tmp_path: Path
) -> None:
    """The second run is of them alone, and decides the exit status."""
    (tmp_path / "test_some.py").write_text(TESTS.format(wrong=wrong))
    ended = (date(2026, 1, each) for each in days)
    assert run([str(tmp_path), "-n", "0", "--rootdir", str(tmp_path)], day=lambda: next(ended), few=few) == status
    assert ((tmp_path / "steady").stat().st_size, (tmp_path / "unsteady").stat().st_size) == runs
