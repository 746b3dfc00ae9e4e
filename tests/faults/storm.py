"""Random faults in a running system: which process, how and when."""

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from tests.end_to_end.system import System, wait_for
from tests.faults.clickhouse import ClickHouse
from tests.faults.clients import Clients

Find = Callable[[System], list[int]]


def processes(system: System, part: str) -> list[int]:
    """Return the processes of a part, masters and workers."""
    return [pid for pid, line in system.processes().items() if f"pharos {part}" in line]


def masters(part: str) -> Find:
    """Return a function that finds the master processes of a part."""
    return lambda system: list(set(processes(system, part)) - set(system.workers(part)))


EVERYTHING, SUPERVISOR, CLICKHOUSE = "everything", "supervisor", "ClickHouse"
# By name, and how often beside the others: a supervisor waits longer and longer before it starts a dead master again.
VICTIMS: dict[str, tuple[int, Find]] = {
    "collector worker": (5, lambda system: system.workers("collector")),
    "collector master": (2, masters("collector")),
    "dashboard worker": (5, lambda system: system.workers("dashboard")),
    "dashboard master": (1, masters("dashboard")),
    "loader": (5, lambda system: processes(system, "load")),
    SUPERVISOR: (1, lambda system: processes(system, "serve")),
    EVERYTHING: (1, lambda system: list(system.processes())),
    CLICKHOUSE: (4, lambda system: []),
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
KILLED = "killed"
_DONE = {signal.SIGKILL: KILLED, signal.SIGTERM: "terminated", signal.SIGSTOP: "stopped and continued"}


def victims(system: System, clickhouse: ClickHouse | None) -> list[str]:
    """Return the possible victims. The loader is a process and ClickHouse a server only without the embedded engine."""
    absent = {*([] if clickhouse else [CLICKHOUSE]), *([] if system.settings.clickhouse_url else ["loader"])}
    return [name for name in VICTIMS if name not in absent]


class Storm:
    """Causes faults one after another, and counts each kind."""

    def __init__(self, system: System, clients: Clients, rng: random.Random, clickhouse: ClickHouse | None) -> None:
        self.done: Counter[str] = Counter()
        self._system, self._clients, self._rng, self._clickhouse = system, clients, rng, clickhouse

    @property
    def kills(self) -> int:
        """Return the number of SIGKILLs. A kill of all processes counts once."""
        return sum(times for fault, times in self.done.items() if fault.endswith(KILLED))

    def run(self, kills: int) -> None:
        """Cause faults until `count` kills. Two of three faults are kills."""
        names = victims(self._system, self._clickhouse)
        weights = [VICTIMS[name][0] for name in names]
        while self.kills < kills:
            self._clients.wait_for_more(self._rng.randrange(5, 100))
            (name,), (number,) = self._rng.choices(names, weights), self._rng.choices(SIGNALS, (4, 1, 1))
            self.fault(name, number)

    def fault(self, name: str, number: signal.Signals, spared: Sequence[int] = ()) -> None:
        """Wait for a victim and a moment, then cause one fault. `spared` processes are never hit."""
        if name == CLICKHOUSE:
            self._aim()
            self._hit_clickhouse(number)
        else:
            find = VICTIMS[name][1]
            wait_for(lambda: find(self._system), f"{name} to live", 60)
            pids = [pid for pid in find(self._system) if pid not in spared]
            if name == EVERYTHING:
                number = signal.SIGKILL
            else:
                pids = self._rng.sample(pids, min(1, len(pids)))
            self._aim()
            if not _hit(pids, number, self._rng.random() * 2):
                return
        self.done[f"{name} {_DONE[number]}"] += 1
        if name in (EVERYTHING, SUPERVISOR) and number is not signal.SIGSTOP:
            self._start_again(killing=name == EVERYTHING)

    def _aim(self) -> None:
        """Wait for the moment: a third of the faults at any time, the others while a batch is being inserted."""
        stage = self._rng.choice(("", "usage IS NOT NULL", "usage IS NULL AND license IS NOT NULL"))
        if not stage:
            time.sleep(self._rng.random())
            return
        deadline = time.monotonic() + 3
        while not self._any_batch(stage) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(self._rng.random() * 0.04)  # about as long as an insert takes

    def _any_batch(self, stage: str) -> bool:
        # Closed at once: while anybody has the spool open a crash of all the others is not recovered from the log.
        path = f"file:{self._system.home}/spool.sqlite?mode=ro"
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, uri=True)) as spool:
            return spool.execute(f"SELECT 1 FROM batches WHERE {stage} LIMIT 1").fetchone() is not None
        return False

    def _hit_clickhouse(self, number: signal.Signals) -> None:
        assert self._clickhouse is not None
        if number is signal.SIGSTOP:
            _hit([self._rng.choice(self._clickhouse.victims).pid], number, self._rng.random() * 2)
        else:
            self._clickhouse.kill(self._rng, number)

    def _start_again(self, *, killing: bool) -> None:
        """Restart the system once all processes are gone.

        With `killing`, also kill processes that were started meanwhile.
        """
        system = self._system

        def gone() -> bool:
            left = list(system.processes())
            return not (_hit(left, signal.SIGKILL, 0) if killing else left)

        wait_for(gone, "all to be gone", 180)
        assert system.process is not None
        system.process.wait(10)
        system.start()


def _hit(pids: list[int], number: signal.Signals, stopped: float) -> bool:
    """Send the signal; return whether any process got it."""
    hit = [_send(pid, number) for pid in pids]
    if number is signal.SIGSTOP:
        time.sleep(stopped)
        for pid in pids:
            _send(pid, signal.SIGCONT)
    return any(hit)


def _send(pid: int, number: signal.Signals) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
