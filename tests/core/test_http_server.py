"""gunicorn as Pharos configures it."""

import os
import pwd
import subprocess
import sys

import pytest

BECOMES_ANOTHER_USER = """
import os, sys
from core.http_server import HttpServer

os.setegid(int(sys.argv[2]))
os.seteuid(int(sys.argv[1]))


class Server(HttpServer):
    def load_config(self):
        pass


print(Server().cfg.uid, Server().cfg.gid)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_workers_keep_the_user_that_root_became_after_the_import() -> None:
    """gunicorn's own default is the user at the time of the import: a worker would try to become root again."""
    nobody = pwd.getpwnam("nobody")
    user, group = str(nobody.pw_uid), str(nobody.pw_gid)
    done = subprocess.run(
        [sys.executable, "-c", BECOMES_ANOTHER_USER, user, group], capture_output=True, check=True, text=True
    )
    assert done.stdout.split() == [user, group]


# A server that is told to stop at the moment that its argument names.
STOPS_EARLY = """
import os, signal, sys, time
from core import stop_signals
from core.http_server import HttpServer, Worker

MOMENT = sys.argv[1]


def stop(process):
    os.kill(process, signal.SIGTERM)


def just_forked(arbiter, worker):
    if MOMENT == "forked":
        stop(worker.pid)


class Server(HttpServer):
    def load_config(self):
        for name, value in {
            "bind": ["127.0.0.1:0"], "worker_class": Worker, "control_socket_disable": True, "post_fork": just_forked,
        }.items():
            self.cfg.set(name, value)

    def load(self):
        if MOMENT == "loading":
            stop(os.getppid())
        until = time.monotonic() + 60
        while not Worker.stopping and time.monotonic() < until:
            time.sleep(0.01)
        print("stopped" if Worker.stopping else "not stopped", flush=True)
        stop(os.getppid())


stop_signals.hold()
if MOMENT == "before":
    stop(os.getpid())
Server().run()
"""


@pytest.mark.parametrize("moment", ["before", "forked", "loading"])
def test_a_stop_during_the_start_is_quiet(moment: str) -> None:
    """Whether it comes before the server runs, in a worker just forked, or while the application loads: status 0."""
    done = subprocess.run(
        [sys.executable, "-c", STOPS_EARLY, moment], capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "not stopped" not in done.stdout
    assert "stopped" in done.stdout
    assert "[ERROR]" not in done.stderr
    assert "Traceback" not in done.stderr
