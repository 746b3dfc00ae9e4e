"""The parts of a question that run at the same time."""

import threading
from contextvars import ContextVar

import pytest

from warehouse.at_once import at_once

WHOSE: ContextVar[str] = ContextVar("whose")


def test_two_parts_run_at_the_same_time() -> None:
    """Each waits for the other, and both know whose question it is."""
    both = threading.Barrier(2)

    def part(name: str) -> str:
        both.wait(10)
        return f"{name} of {WHOSE.get()}"

    WHOSE.set("an analyst")
    assert at_once(lambda: part("one"), lambda: part("other")) == ["one of an analyst", "other of an analyst"]


def test_a_part_that_fails_ends_the_question() -> None:
    """No part begins after it."""
    begun: list[int] = []

    def part(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        at_once(*[lambda number=number: part(number) for number in range(50)])
    assert len(begun) < 50
