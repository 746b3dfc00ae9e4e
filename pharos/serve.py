"""`pharos serve`: run the parts as processes of this machine, and restart a part that exits."""

import ctypes
import errno
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
from core import hang_up, parts, stop_signals
from core.catalog import watch
from core.home import Home
from core.settings import Bind, Settings
from pharos.context import left_behind
from warehouse.engine import Engine
from warehouse.export_socket import ExportServer
from warehouse.licensing.judge import Judge

STOP_SECONDS = 40.0
# The secrets in the environment, and the parts that need them. The collector makes pseudonyms, and the dashboard signs
# cookies and the access log, with keys of the root secret. The first key and login are created before any part starts.
SECRETS = {
    "PHAROS_SECRET": {"collector", "dashboard"},
    "PHAROS_STATES_KEY": {"dashboard", "load"},
    "PHAROS_CLICKHOUSE_URL": {"dashboard", "load"},
    "PHAROS_LICENSE_CLICKHOUSE_URL": {"dashboard", "load"},
    "PHAROS_CLICKHOUSE_READERS": {"dashboard"},
    "PHAROS_SMTP_URL": {"dashboard"},
    "PHAROS_WEBHOOK_URL": {"dashboard"},
    "PHAROS_WEBHOOK_SECRET": {"dashboard"},
    "PHAROS_METRICS_TOKEN": {"collector", "dashboard"},
    "PHAROS_CLICKHOUSE_CLUSTER": {"dashboard", "load"},  # not a secret, but useless without the URL
    "PHAROS_INGEST_KEY": set[str](),
    "PHAROS_ADMIN_PASSWORD": set[str](),
}
RESTART_SECONDS = (0.5, 15.0)
ORPHAN_SECONDS = 10.0
# A loader that has run for this long does not fail at its start.
STEADY_SECONDS = 5.0
# What to do when an address cannot be listened on.
_HINTS = {
    errno.EADDRNOTAVAIL: ": no network interface of this machine has it",
    errno.EADDRINUSE: ": stop the program that listens there, or set another port",
    errno.EACCES: ": a port below 1024 needs rights that this user does not have; set another one behind a proxy",
}

log = logging.getLogger("pharos.serve")


def make_loader(settings: Settings, home: Home, spool: Spool, engine: Engine) -> Loader:
    """Return the loader of a home, which judges licenses by the settings and the catalog."""
    return Loader(spool, engine, judge=Judge(engine, settings, watch(settings, home)))


def start_loader(settings: Settings, home: Home) -> Callable[[Engine], Callable[[], None]]:
    """Return a function that starts a loader thread on an engine of this process, and returns a function to stop it.

    It also serves the engine's tables to `pharos backup`.
    """

    def start(engine: Engine) -> Callable[[], None]:
        stop = threading.Event()
        lock = home.lock("loader")

        def run() -> None:
            spool = Spool(home.spool)
            try:
                make_loader(settings, home, spool, engine).run(stop)
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
    """Run `pharos load`: the loader as a separate process, until SIGINT or SIGTERM."""
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        # A hanging ClickHouse would block the exit for a minute. The next start sends an unfinished batch again.
        late = threading.Timer(STOP_SECONDS / 2, os._exit, [0])
        late.daemon = True
        late.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    stop_signals.release()
    lock = home.lock("loader")
    if warning := left_behind(home):
        log.warning("%s", warning)
    engine = Engine(settings, home)
    spool = Spool(home.spool)
    make_loader(settings, home, spool, engine).run(stop)
    spool.close()
    engine.close()
    lock.close()


@dataclass
class _Part:
    """The process of a part. `bind` is its address, `down_since` (epoch seconds) is when it stopped responding."""

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
        """Whether it runs and responds. The loader has no address: whether it has run for `STEADY_SECONDS`."""
        if self.process is None or self.process.poll() is not None:
            return False
        return _answers(self.bind) if self.bind else time.monotonic() - self.started > STEADY_SECONDS


def hold_home(settings: Settings, home: Home) -> IO[bytes]:
    """Take the home's `serve` lock. Raises `HomeError` if another Pharos, or a part of it, uses the home."""
    lock = home.lock("serve")
    for part in ("collector", "dashboard", *(["loader"] if settings.clickhouse_url else [])):
        # Parts of a killed `pharos serve` may still be stopping.
        home.lock(part, ORPHAN_SECONDS).close()
    return lock


def serve(settings: Settings, home: Home, ready: Callable[[], None]) -> int:
    """Run collector, loader and dashboard until SIGINT or SIGTERM. Returns the exit status.

    Calls `ready` when both addresses respond. The caller holds the home (`hold_home`).
    """
    stop, hung_up = threading.Event(), hang_up.times()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop_signals.release()
    # With the embedded engine the loader runs in the dashboard's process, because the engine has one owner.
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
            _reload_parts(running)
        if not announced and collector.works and dashboard.works:
            with suppress(OSError):  # the terminal is gone
                ready()
            announced = True
        stop.wait(0.2)
    clean = _stop_parts(running)
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
        log.warning("%s ended with status %s, restarting it in %.1f s", part.command, status, part.wait)
        part.process = None
        part.down_since, part.why = part.down_since or int(time.time()), f"it ended with status {status}; see the log"
        part.again_at = now + part.wait
        part.wait = min(part.wait * 2, RESTART_SECONDS[1])
    if now >= part.again_at:
        part.process = subprocess.Popen(
            [sys.executable, "-m", "pharos", part.command],
            env=environment(part.command, os.environ),
            stdin=subprocess.DEVNULL,
            # A separate group: Ctrl-C in a terminal reaches only this process, which stops the parts in order.
            process_group=0,
            preexec_fn=partial(_die_with_parent, os.getpid()),
        )
        part.started = now


def environment(command: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a part, without the secrets that it does not need."""
    kept = dict(environ)
    for name, needed_by in SECRETS.items():
        if command not in needed_by:
            kept.pop(name, None)
            kept.pop(f"{name}_FILE", None)
    return kept


def _note_down(home: Home, running: list[_Part], noted: list[parts.Down] | None) -> list[parts.Down]:
    """Write which parts are down, if it differs from `noted`, and log when a part is up again. Returns what is down."""
    for part in running:
        if part.down_since is not None and part.works:
            log.info("%s is up again after %d s", part.command, time.time() - part.down_since)
            part.down_since = None
    down = [parts.Down(part.command, part.down_since, part.why) for part in running if part.down_since is not None]
    if down != noted:
        parts.note(home, {part.command: part.bind for part in running if part.bind}, down)
    return down


def _reload_parts(running: list[_Part]) -> None:
    """Make the parts reload their files."""
    log.info("SIGHUP: the parts reload their files")
    for part in running:
        if part.process is not None and part.process.poll() is None:
            part.process.send_signal(signal.SIGHUP)


def _die_with_parent(parent: int) -> None:
    """Request a SIGTERM when the supervisor is killed. An orphan would keep the ports and the engine."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if os.getppid() != parent:  # the supervisor was killed before the request
        os._exit(1)


def _stop_parts(running: list[_Part]) -> bool:
    """Stop the parts, the collector first. Beacons that it still accepts are loaded, or stay in the spool."""
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
            log.error("%s does not stop and is killed; acknowledged beacons are in the spool", part.command)
            os.killpg(part.process.pid, signal.SIGKILL)
            part.process.wait()
            clean = False
    return clean


def cannot_listen(bind: Bind) -> str:
    """Return why the address cannot be listened on, "" if it can. Another program's response must not count as ours."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind.host, bind.port))
        except OSError as error:
            return (error.strerror or str(error)).lower() + _HINTS.get(error.errno or 0, "")
    return ""


def meet(one: Bind, other: Bind) -> bool:
    """Return whether two addresses cannot be listened on at the same time."""
    everywhere = {"0.0.0.0", "::"}  # noqa: S104
    return one.port == other.port and (one.host == other.host or bool(everywhere & {one.host, other.host}))


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
