"""Room for large bodies: how much there is at once, and who waits."""

import threading
import time

from collector.memory_budget import MemoryBudget


def test_there_is_room_until_there_is_none() -> None:
    """What is taken together is at most the size; what is given back may be taken again."""
    room = MemoryBudget(10, seconds=0.05)
    assert room.take(6)
    assert room.take(4)
    assert not room.take(1)
    room.give_back(4)
    assert room.take(3)


def test_who_finds_none_waits_for_it() -> None:
    """Room that is given back goes to the one that waits."""
    room = MemoryBudget(10, seconds=10)
    assert room.take(10)
    threading.Timer(0.1, room.give_back, [10]).start()
    began = time.monotonic()
    assert room.take(10)
    assert 0.05 < time.monotonic() - began < 5


def test_nobody_overtakes() -> None:
    """Small ones that come later do not keep a large one waiting for ever."""
    room = MemoryBudget(10, seconds=0.5)
    assert room.take(5)
    got: list[bool] = []
    large = threading.Thread(target=lambda: got.append(room.take(10)))
    large.start()
    time.sleep(0.1)
    small = threading.Thread(target=lambda: got.append(room.take(1)))
    small.start()
    time.sleep(0.1)
    assert got == []  # there was room for the small one
    room.give_back(5)
    large.join()
    assert got[0] is True
    small.join()
