"""Threads that run beside a test for the length of a `with` block."""

import threading
from collections.abc import Iterable
from typing import Self


class Background:
    """One thread per seed, which runs `_run(seed)` until `_stop` is set."""

    def __init__(self, seeds: Iterable[str]) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in seeds]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def _run(self, seed: str) -> None:
        raise NotImplementedError
