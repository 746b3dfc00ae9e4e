"""The ClickHouse servers of the environment, which tests may kill and restart."""

import os
import random
import signal
import subprocess
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.end_to_end.system import parent, wait_for

# The folders of a cluster's nodes, beside one another, in the order of CLICKHOUSE_URLS.
NODES = ("s1r1", "s1r2", "s2r1", "s2r2")


@dataclass
class Node:
    """A server: its address, configuration and process. `child` is set if we started it."""

    url: str
    config: Path
    pid: int
    child: "subprocess.Popen[bytes] | None" = None

    def answers(self) -> bool:
        """Return whether the server responds."""
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/ping", timeout=1) as pong:
            return bool(pong.status == 200)
        return False

    def end(self, number: signal.Signals) -> None:
        """Send a signal that ends the server, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if self.child is not None:
            self.child.wait(60)
            return
        wait_for(lambda: not _lives(self.pid), "ClickHouse to be gone", 60)

    def start(self) -> None:
        """Start the server with the same configuration, and wait until it responds."""
        command = [os.environ["CLICKHOUSE_BINARY"], "server", f"--config-file={self.config}"]
        self.child = None

        def answers() -> bool:
            if self.child is None or self.child.poll() is not None:  # the port may not be free yet
                quiet, environ = subprocess.DEVNULL, os.environ | {"CLICKHOUSE_WATCHDOG_ENABLE": "0"}
                self.child = subprocess.Popen(command, env=environ, cwd=self.config.parent, stdout=quiet, stderr=quiet)
                self.pid = self.child.pid
                time.sleep(0.2)
            return self.answers()

        wait_for(answers, "ClickHouse to come back", 60)


def _lives(pid: int) -> bool:
    """Return whether the process runs. A zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _server(pid: int) -> int:
    """Return the server's process id, not that of its watchdog."""
    everybody = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return next((child for child in everybody if parent(child) == pid), pid)


class ClickHouse:
    """One server (CLICKHOUSE_URL, _PID, _BINARY, _CONFIG), or the nodes of a cluster (CLICKHOUSE_URLS, _PIDS)."""

    def __init__(self) -> None:
        config = Path(os.environ["CLICKHOUSE_CONFIG"])
        urls = os.environ.get("CLICKHOUSE_URLS", os.environ["CLICKHOUSE_URL"]).split(",")
        pids = os.environ.get("CLICKHOUSE_PIDS", os.environ["CLICKHOUSE_PID"]).split(",")
        configs = [config.parents[1] / name / config.name for name in NODES] if len(urls) > 1 else [config]
        self.nodes = [
            Node(_bare(url), config, _server(int(pid))) for url, config, pid in zip(urls, configs, pids, strict=True)
        ]

    @property
    def victims(self) -> list[Node]:
        """Return the nodes that may fail.

        In a cluster the first node may not, because it is our peer and has the only Keeper.
        """
        return self.nodes[1:] or self.nodes

    def kill(self, rng: random.Random, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill a node, in a cluster leave it down for a while, then restart it."""
        node = rng.choice(self.victims)
        node.end(number)
        if len(self.nodes) > 1:
            time.sleep(rng.random() * 2)
        node.start()

    def end(self) -> None:
        """Stop what we started."""
        for node in self.nodes:
            if node.child is not None:
                node.child.terminate()
                node.child.wait(60)


def beside() -> ClickHouse | None:
    """Return the servers of the environment that may be killed, or None."""
    return ClickHouse() if "CLICKHOUSE_PID" in os.environ else None


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"
