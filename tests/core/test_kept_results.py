"""Results that are kept for seconds."""

import threading

import pytest

from core.kept_results import KeptResults
from tests.end_to_end.system import wait_for


def test_a_result_is_computed_once_in_its_seconds() -> None:
    """Each key has its own result. A failure is not kept."""
    now, made = 0.0, []

    def make(name: str) -> str:
        made.append(name)
        if name == "bad":
            raise ValueError(name)
        return name.upper()

    kept: KeptResults[str, str] = KeptResults(2.0, lambda: now)
    for name in ("a", "b", "a", "b"):
        assert kept.get(name, lambda name=name: make(name)) == name.upper()  # type: ignore[misc]
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            kept.get("bad", lambda: make("bad"))
    assert made == ["a", "b", "bad", "bad"]
    now = 2.1
    kept.get("a", lambda: make("a"))
    assert made.count("a") == 2


def test_threads_that_need_the_same_result_wait_for_one_of_them() -> None:
    """Four threads ask at once: one of them computes."""
    kept: KeptResults[str, int] = KeptResults(60.0)
    go, asked, found = threading.Event(), [], list[int]()

    def make() -> int:
        asked.append(1)
        assert go.wait(30)
        return 7

    threads = [threading.Thread(target=lambda: found.append(kept.get("key", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: asked, "a thread to compute")
    go.set()
    for thread in threads:
        thread.join(30)
    assert (found, asked) == ([7] * 4, [1])
