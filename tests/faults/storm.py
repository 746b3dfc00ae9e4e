"""A storm of faults over a running system, and the verdict on what it counted."""

import os
import random
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.end_to_end.system import System, wait_for
from tests.faults.clients import Clients

Find = Callable[[System], list[int]]


def processes(system: System, part: str) -> list[int]:
    """The processes of a part, masters and workers."""
    return [pid for pid, line in system.processes().items() if f"pharos {part}" in line]


def masters(part: str) -> Find:
    """Finds the processes of a part that are nobody's worker."""
    return lambda system: list(set(processes(system, part)) - set(system.workers(part)))


# By name, and how often beside the others: a dead master costs its supervisor's patience, a worker nearly nothing.
VICTIMS: dict[str, tuple[int, Find]] = {
    "collector worker": (6, lambda system: system.workers("collector")),
    "collector master": (1, masters("collector")),
    "dashboard worker": (3, lambda system: system.workers("dashboard")),
    "dashboard master": (1, masters("dashboard")),
    "loader": (3, lambda system: processes(system, "load")),
    "everything": (1, lambda system: list(system.processes())),
}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)


@dataclass
class Verdict:
    """What was answered 202, and what is counted; equal when nothing is lost and nothing doubled."""

    answered: int
    installs: int
    uses: int
    recount: str

    @property
    def good(self) -> bool:
        """Whether every beacon that was answered for is counted once, in rows and aggregates."""
        return self.answered == self.installs == self.uses and self.recount == ""


class ClickHouse:
    """The server beside which we run, which may be killed and is started again by us."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """SIGKILL, then start it again with the same configuration."""
        pid = self._process.pid if self._process else int(os.environ["CLICKHOUSE_PID"])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if self._process:
            self._process.wait()
        command = [os.environ["CLICKHOUSE_BINARY"], "server", f"--config-file={os.environ['CLICKHOUSE_CONFIG']}"]
        ping = f"{_bare(os.environ['CLICKHOUSE_URL'])}/ping"

        def answers() -> bool:
            if self._process is None or self._process.poll() is not None:  # the port may not be free yet
                self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(0.2)
            with suppress(OSError), urllib.request.urlopen(ping, timeout=1) as pong:
                return bool(pong.status == 200)
            return False

        self._process = None
        wait_for(answers, "ClickHouse to come back", 60)

    def end(self) -> None:
        """Stop what we started."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


def _bare(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def storm(
    system: System, clients: Clients, rng: random.Random, faults: int, clickhouse: ClickHouse | None
) -> Counter[str]:
    """Do `faults` random faults while beacons come in; returns how many of each."""
    done: Counter[str] = Counter()
    names = list(VICTIMS)
    weights = [VICTIMS[name][0] for name in names]
    while sum(done.values()) < faults:
        clients.wait_for_more(rng.randrange(5, 60))
        time.sleep(rng.random() * 0.3)
        if clickhouse is not None and rng.random() < 0.1:
            clickhouse.kill()
            done["ClickHouse killed"] += 1
            continue
        (name,) = rng.choices(names, weights)
        found = VICTIMS[name][1](system)
        if not found:
            continue
        if name == "everything":
            _restart(system, found)
            done["everything killed"] += 1
            continue
        number = rng.choice(SIGNALS)
        pid = rng.choice(found)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            done[f"{name} {'killed' if number is signal.SIGKILL else number.name}"] += 1
            if number is signal.SIGSTOP:
                time.sleep(rng.random() * 2)
                os.kill(pid, signal.SIGCONT)
    return done


def _restart(system: System, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not system.processes(), "all to be gone")
    assert system.process is not None
    system.process.wait(10)
    system.start()


def verdict(system: System, answered: int) -> Verdict:
    """Wait until all is loaded, read the figures, stop the system and recount."""
    wait_for(lambda: system.answers(system.dashboard), "the dashboard", 120)
    system.drain()
    (installs,) = system.rows("installs", grain="period")
    (uses,) = system.rows("feature_uses", grain="period", by="none")
    assert system.stop() == 0
    recount = system.run("recount")
    return Verdict(
        answered, installs["value"], uses["value"], "" if recount.returncode == 0 else recount.stdout.decode()
    )
