"""The memory budget for large bodies: how much is taken at once, and who waits."""

import threading
import time

from collector.memory_budget import MemoryBudget


def waiting_in(budget: MemoryBudget) -> bool:
    """Return once a thread waits for bytes; False when none does."""
    deadline = time.monotonic() + 30
    while not budget._changed._waiters:  # type: ignore[attr-defined]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def test_bytes_are_given_until_none_are_left() -> None:
    """What is taken together is at most the size; what is given back may be taken again."""
    budget = MemoryBudget(10, seconds=0.05)
    assert budget.take(6)
    assert budget.take(4)
    assert not budget.take(1)
    budget.give_back(4)
    assert budget.take(3)


def test_a_thread_waits_for_bytes() -> None:
    """Bytes that are given back go to the thread that waits."""
    budget = MemoryBudget(10, seconds=60)
    assert budget.take(10)
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(budget.take(10)))
    waiting.start()
    assert waiting_in(budget)
    assert got == []
    budget.give_back(10)
    waiting.join()
    assert got == [True]


def test_nobody_overtakes() -> None:
    """Small ones that come later do not keep a large one waiting for ever."""
    budget = MemoryBudget(10, seconds=5)
    assert budget.take(5)
    got: list[bool] = []
    large = threading.Thread(target=lambda: got.append(budget.take(10)))
    large.start()
    assert waiting_in(budget)
    small = threading.Thread(target=lambda: got.append(budget.take(1)))
    small.start()
    small.join(0.2)
    assert got == []  # there are enough bytes for the small one
    budget.give_back(5)
    large.join()
    assert got[0] is True
    small.join()
