"""`pharos serve`: the parts as processes of this machine; a part that dies is started again."""

import ctypes
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from collector.loader import Loader
from collector.spool import Spool
from core import hang_up, parts
from core.home import Home
from core.settings import Bind, Settings
from warehouse.engine import Engine
from warehouse.export_socket import ExportServer

STOP_SECONDS = 40.0
# The secrets of the environment, and the parts that need them: the collector makes pseudonyms, the dashboard signs
# cookies and the access log with keys of the root secret. The first key and login are made before any part starts.
SECRETS = {
    "PHAROS_SECRET": {"collector", "dashboard"},
    "PHAROS_CLICKHOUSE_URL": {"dashboard", "load"},
    "PHAROS_CLICKHOUSE_READERS": {"dashboard"},
    "PHAROS_CLICKHOUSE_CLUSTER": {"dashboard", "load"},  # no secret, and of no use without the URL
    "PHAROS_INGEST_KEY": set[str](),
    "PHAROS_ADMIN_PASSWORD": set[str](),
}
RESTART_SECONDS = (0.5, 15.0)
ORPHAN_SECONDS = 10.0
# A loader that has run for so long is not one that fails at its start.
STEADY_SECONDS = 5.0

log = logging.getLogger("pharos.serve")


def start_loader(home: Home) -> Callable[[Engine], Callable[[], None]]:
    """What starts a loader thread over an engine that this process owns, and returns how to stop it.

    Beside it the engine's tables are lent to `pharos backup`.
    """

    def start(engine: Engine) -> Callable[[], None]:
        stop = threading.Event()
        lock = home.lock("loader")

        def run() -> None:
            spool = Spool(home.spool)
            try:
                Loader(spool, engine).run(stop)
            finally:
                spool.close()
                lock.close()

        thread = threading.Thread(target=run, name="loader", daemon=True)
        thread.start()
        lender = ExportServer(home, engine)

        def end() -> None:
            stop.set()
            lender.close()
            thread.join(STOP_SECONDS / 2)

        return end

    return start


def load(settings: Settings, home: Home) -> None:
    """`pharos load`: the loader as a process of its own, until SIGINT or SIGTERM."""
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        # A ClickHouse that hangs would hold us for a minute. Wherever we are then, the next start sends it again.
        late = threading.Timer(STOP_SECONDS / 2, os._exit, [0])
        late.daemon = True
        late.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    lock = home.lock("loader")
    engine = Engine(settings, home)
    spool = Spool(home.spool)
    Loader(spool, engine).run(stop)
    spool.close()
    engine.close()
    lock.close()


@dataclass
class _Part:
    """A part as a process, and since when (epoch seconds) it does not run or answer; `bind` is where it answers."""

    command: str
    bind: Bind | None = None
    process: subprocess.Popen[bytes] | None = None
    wait: float = RESTART_SECONDS[0]
    started: float = 0.0
    again_at: float = field(default=float("-inf"))
    down_since: int | None = None
    why: str = ""

    @property
    def works(self) -> bool:
        """Whether it runs and answers; the loader, which has no address, whether it has run for a while."""
        if self.process is None or self.process.poll() is not None:
            return False
        return _answers(self.bind) if self.bind else time.monotonic() - self.started > STEADY_SECONDS


def hold_home(settings: Settings, home: Home) -> IO[bytes]:
    """Hold the home's `serve` lock. Raises `HomeError` when another Pharos, or a part of one, runs over the home."""
    lock = home.lock("serve")
    for part in ("collector", "dashboard", *(["loader"] if settings.clickhouse_url else [])):
        # Parts whose `pharos serve` was killed are still stopping.
        home.lock(part, ORPHAN_SECONDS).close()
    return lock


def serve(settings: Settings, home: Home, ready: Callable[[], None]) -> int:
    """Run collector, loader and dashboard until SIGINT or SIGTERM; returns the exit status.

    `ready` is called once both addresses answer. The caller holds the home (`hold_home`).
    """
    stop, hung_up = threading.Event(), hang_up.times()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # Embedded, the loader lives in the dashboard's process: the engine has one owner.
    collector, dashboard = _Part("collector", settings.collector_bind), _Part("dashboard", settings.dashboard_bind)
    running = [collector, dashboard, *([_Part("load")] if settings.clickhouse_url else [])]
    noted = _note_down(home, running, None)
    announced = False
    while not stop.is_set():
        for part in running:
            _keep_alive(part)
        noted = _note_down(home, running, noted)
        if hung_up != hang_up.times():
            hung_up = hang_up.times()
            _hang_up(running)
        if not announced and collector.works and dashboard.works:
            with suppress(OSError):  # the terminal is gone
                ready()
            announced = True
        stop.wait(0.2)
    clean = _end(running)
    parts.forget(home)
    return 0 if clean else 1


def _keep_alive(part: _Part) -> None:
    now = time.monotonic()
    if part.process is not None:
        status = part.process.poll()
        if status is None:
            if now - part.started > 60:
                part.wait = RESTART_SECONDS[0]
            return
        log.warning("%s ended with status %s, starting it again in %.1f s", part.command, status, part.wait)
        part.process = None
        part.down_since, part.why = part.down_since or int(time.time()), f"it ended with status {status}; see the log"
        part.again_at = now + part.wait
        part.wait = min(part.wait * 2, RESTART_SECONDS[1])
    if now >= part.again_at:
        part.process = subprocess.Popen(
            [sys.executable, "-m", "pharos", part.command],
            env=environment(part.command, os.environ),
            stdin=subprocess.DEVNULL,
            # Its own group: Ctrl-C in a terminal reaches us alone, and we end the parts in order.
            process_group=0,
            preexec_fn=partial(_die_with_parent, os.getpid()),
        )
        part.started = now


def environment(command: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a part, without the secrets that it does not need."""
    kept = dict(environ)
    for name, needed_by in SECRETS.items():
        if command not in needed_by:
            kept.pop(name, None)
            kept.pop(f"{name}_FILE", None)
    return kept


def _note_down(home: Home, running: list[_Part], noted: list[parts.Down] | None) -> list[parts.Down]:
    """Tell collector and doctor which parts are down, if it is not as `noted`, and the log when one is up again."""
    for part in running:
        if part.down_since is not None and part.works:
            log.info("%s runs again, after %d s", part.command, time.time() - part.down_since)
            part.down_since = None
    down = [parts.Down(part.command, part.down_since, part.why) for part in running if part.down_since is not None]
    if down != noted:
        parts.note(home, down)
    return down


def _hang_up(running: list[_Part]) -> None:
    """Have the parts look at their files again."""
    log.info("SIGHUP: the parts look at their files again")
    for part in running:
        if part.process is not None and part.process.poll() is None:
            part.process.send_signal(signal.SIGHUP)


def _die_with_parent(parent: int) -> None:
    """Get SIGTERM when the supervisor is killed: orphans would keep the ports and the engine."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if os.getppid() != parent:  # it was killed before we had asked for that
        os._exit(1)


def _end(running: list[_Part]) -> bool:
    """Stop the parts, the collector first: what it still takes is loaded by the others, or lies in the spool."""
    clean = True
    deadline = time.monotonic() + STOP_SECONDS
    for part in running:
        if part.process is not None and part.process.poll() is None:
            part.process.send_signal(signal.SIGTERM)
    for part in running:
        if part.process is None:
            continue
        try:
            part.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("%s does not stop and is killed; what it answered for lies in the spool", part.command)
            os.killpg(part.process.pid, signal.SIGKILL)
            part.process.wait()
            clean = False
    return clean


def cannot_listen(bind: Bind) -> str:
    """Why nobody can listen there, "" when it can be done: another program's answer must not be taken for ours."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind.host, bind.port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def _answers(bind: Bind) -> bool:
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind.host, bind.host)  # noqa: S104
    connection = http.client.HTTPConnection(local, bind.port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
