"""The ClickHouse servers beside which we run: they may be killed, and are started again by us."""

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
    """One server: its address, its configuration, its process; `child` where we started it."""

    url: str
    config: Path
    pid: int
    child: "subprocess.Popen[bytes] | None" = None

    def answers(self) -> bool:
        """Whether it takes queries."""
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/ping", timeout=1) as pong:
            return bool(pong.status == 200)
        return False

    def end(self, number: signal.Signals) -> None:
        """Send it a signal that ends it, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if self.child is not None:
            self.child.wait(60)
            return
        wait_for(lambda: not _lives(self.pid), "ClickHouse to be gone", 60)

    def start(self) -> None:
        """Start it with the same configuration, and wait until it answers."""
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
    """Whether the process runs; not so once it waits for its parent to take note of its end."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _server(pid: int) -> int:
    """The server of a process that may be its watchdog: that one would be stopped and measured in its place."""
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
        """The nodes that may fail: of a cluster not the first, which we talk to and which has the only Keeper."""
        return self.nodes[1:] or self.nodes

    def kill(self, rng: random.Random, number: signal.Signals = signal.SIGKILL) -> None:
        """End one of the victims, for a cluster leave it down for a while, then start it again."""
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
    """What the environment says of servers that may be killed; None when it says nothing."""
    return ClickHouse() if "CLICKHOUSE_PID" in os.environ else None


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"
