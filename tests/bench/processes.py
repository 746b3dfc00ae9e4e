"""Runs servers, and says what they take together with all that they started: CPU time and memory, from /proc."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.system import fetch, free_ports, wait_for
from tests.pharos_cli.command import environment

KEY = "bench-key"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cpu:
    """CPU time in seconds, in the processes' own code and in the kernel."""

    user: float
    system: float

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user - other.user, self.system - other.system)

    @property
    def total(self) -> float:
        """Both together."""
        return self.user + self.system

    def each(self, times: int) -> str:
        """Return its share of each of so many things, in µs: user + system."""
        return f"{self.user / times * 1e6:.0f} + {self.system / times * 1e6:.0f}"


def tree(pid: int) -> list[int]:
    """Return a process and its descendants that live."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in tree(int(child)))]


def cpu(*pids: int) -> Cpu:
    """Return the CPU time of processes and their descendants, with those that have ended."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for pid in pids for one in tree(pid)]
    user = sum(int(field[11]) + int(field[13]) for field in fields)
    system = sum(int(field[12]) + int(field[14]) for field in fields)
    return Cpu(user / _TICKS, system / _TICKS)


def most_memory(pid: int) -> int:
    """Return the most memory that a process had resident, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


@dataclass(frozen=True)
class Server:
    """A server that runs: its process and its port."""

    pid: int
    port: int


@contextlib.contextmanager
def serving(*module: str, home: Path | None = None) -> Iterator[Server]:
    """Run a collector, or a module that answers as one, until the block ends. `home` is a new one by default."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PHAROS_INGEST_KEY": KEY, "PHAROS_COLLECTOR_BIND": f"127.0.0.1:{port}"}
        environ, quiet = environment(home or Path(folder), settings), subprocess.DEVNULL
        process = subprocess.Popen([sys.executable, "-m", *module], env=environ, stdout=quiet, stderr=quiet)
        try:
            wait_for(lambda: _answers(port), "the server", 120)
            yield Server(process.pid, port)
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return fetch(f"http://127.0.0.1:{port}/healthz")[0] == 200
    return False
