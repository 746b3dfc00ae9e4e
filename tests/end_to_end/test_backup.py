"""Backup and restore after the loss of a machine: every beacon accepted before the backup counts once."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.credentials import Credentials
from core.home import Home
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, System, clickhouse_url, running, wait_for
from tests.end_to_end.test_kills import kill
from tests.faults.clients import Clients
from tests.faults.stream import Post
from tests.faults.verdict import ledger, planes_of, verdict


class Remembering(Clients):
    """Clients that remember the beacons that were accepted."""

    def __init__(self, system: System) -> None:
        super().__init__(system, "backup")
        self.all: list[dict[str, Any]] = []

    def _send(self, post: Post, repeated: bool) -> bool:
        answered = super()._send(post, repeated)
        if answered:
            self.all += post.new
        return answered


@pytest.fixture(params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    home = tmp_path / ("a long name " * 9).strip() / "home"  # longer than the path of a socket may be
    home.parent.mkdir()
    with running(home, request.param, PHAROS_K="1") as system:
        yield system


def begin(system: System, *words: str) -> subprocess.Popen[bytes]:
    """Start a `pharos` command in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "pharos", *words],
        env=system.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Whoever runs the tests in the background has Ctrl-C ignored, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def lose(system: System, engine: str) -> None:
    """Kill all processes, then delete home and database. The addresses stay."""
    kill(list(system.processes()))
    assert system.process is not None
    system.process.wait(10)
    wait_for(lambda: not system.processes(), "all to be gone")
    shutil.rmtree(system.home)
    system.home = system.home.with_name("new home")
    url = clickhouse_url(engine)
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "") if url else ""
    system.environ |= {
        "PHAROS_HOME": str(system.home),
        "PHAROS_CLICKHOUSE_URL": url,
        "PHAROS_CLICKHOUSE_CLUSTER": cluster,
    }


def licensing(system: System, module: str) -> dict[str, Any]:
    """Return the license rows of a module, by install."""
    status, answer = system.read("/api/v1/licensing/installs", role="licensing", module=module)
    assert status == 200, answer
    return {row["id"]: row for row in answer["rows"]}


def test_a_lost_machine_goes_on_from_its_backup(system: System, tmp_path: Path) -> None:
    """Back up and lose the machine under load, then restore: each beacon accepted before the backup counts once.

    Logins, tokens, ingest keys and license reports are the same as before.
    """
    engine = "server" if system.environ["PHAROS_CLICKHOUSE_URL"] else "embedded"
    password = system.run("users", "add", "kim", "--role", "product").stdout.decode().strip().split()[-1]
    first = [beacon(module={"name": "ticket_ai", "version": f"0.{n}.0"}) for n in range(20)]
    assert system.post(first)[0] == 202
    system.drain()
    reports = licensing(system, "ticket_ai")
    assert len(reports) == 20
    secret = (system.home / "secret").read_bytes()
    (look,) = system.run("access", "list").stdout.splitlines()
    clients = Remembering(system)
    with clients:
        clients.wait_for_more(300)
        before = [*first, *clients.all]
        backup = begin(system, "backup", "--with-secret", str(tmp_path / "backup"))
        clients.wait_for_more()
        told, complaint = backup.communicate(timeout=60)
        assert (backup.returncode, complaint) == (0, b"")
        assert told.startswith(b"backed up files=")
        clients.wait_for_more()
        lose(system, engine)
        restored = system.run("restore", str(tmp_path / "backup"))
        assert restored.returncode == 0, restored.stderr
        assert restored.stdout.startswith(b"restored beacons=")
        system.start()
        clients.wait_for_more()
    assert clients.posts["no answer"] > 0
    known = {one["beacon_id"] for one in before}
    late = [one for one in clients.all if one["beacon_id"] not in known]
    for begins in range(0, len(late), 500):
        assert system.post(late[begins : begins + 500])[0] == 202
    system.drain()
    assert licensing(system, "ticket_ai") == reports
    for begins in range(0, len(before), 500):
        status, answer = system.post(before[begins : begins + 500])
        assert (status, answer["accepted"]) == (202, 0)
    assert Credentials(system.home / "credentials.sqlite").log_in("kim", password)
    assert (system.home / "secret").read_bytes() == secret
    assert look in system.run("access", "list").stdout.splitlines()
    assert system.run("access", "verify").returncode == 0
    found = verdict(system, ledger(planes_of(system), [*before, *late]))
    assert found.good, str(found)


def owner(system: System) -> int:
    (pid,) = system.workers("dashboard")
    return pid


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[System]:
    with running(tmp_path / "home", "embedded", PHAROS_K="1") as system:
        assert system.post([beacon() for _ in range(30)])[0] == 202
        system.drain()
        yield system


def asked(system: System, folder: Path) -> subprocess.Popen[bytes]:
    """Start a backup that waits for tables from a suspended engine."""
    os.kill(owner(system), signal.SIGSTOP)
    backup = begin(system, "backup", "--with-secret", str(folder))
    wait_for(lambda: (folder / "spool.sqlite").exists(), "the backup to come to the tables")
    return backup


def test_an_owner_that_is_killed_is_asked_again(embedded: System, tmp_path: Path) -> None:
    """If the engine's process is killed during a backup, the backup waits for its successor."""
    backup = asked(embedded, tmp_path / "backup")
    with pytest.raises(subprocess.TimeoutExpired):
        backup.wait(0.5)
    os.kill(owner(embedded), signal.SIGKILL)
    _, complaint = backup.communicate(timeout=60)
    assert (backup.returncode, complaint) == (0, b"")
    lose(embedded, "embedded")
    assert embedded.run("restore", str(tmp_path / "backup")).stdout == b"restored beacons=30 installs=30 spooled=0\n"


def test_a_backup_is_one_at_a_time_and_can_be_broken_off(embedded: System, tmp_path: Path) -> None:
    """A second concurrent backup is refused. Ctrl-C removes the incomplete backup.

    A restore over a running system is refused.
    """
    backup = asked(embedded, tmp_path / "backup")
    second = embedded.run("backup", "--with-secret", str(tmp_path / "second"))
    assert (second.returncode, second.stderr) == (
        1,
        f"pharos: another backup of {embedded.home} is running\n".encode(),
    )
    assert not (tmp_path / "second").exists()
    backup.send_signal(signal.SIGINT)
    backup.communicate(timeout=30)
    assert backup.returncode == 1
    assert not (tmp_path / "backup").exists()
    os.kill(owner(embedded), signal.SIGCONT)
    assert embedded.run("backup", "--with-secret", str(tmp_path / "backup")).returncode == 0
    over_it = embedded.run("restore", str(tmp_path / "backup"))
    assert (over_it.returncode, b"Pharos is already running with the home" in over_it.stderr) == (1, True)
    assert "a table export failed" not in embedded.log()


@pytest.mark.server
@pytest.mark.parametrize(("made_on", "brought_to"), [("embedded", "server"), ("server", "embedded")])
def test_a_backup_fits_every_kind_of_engine(made_on: str, brought_to: str, tmp_path: Path) -> None:
    """A backup of the embedded engine can be restored on a server and vice versa, also while Pharos is stopped."""
    with running(tmp_path / "home", made_on, PHAROS_K="1") as system:
        posted = [beacon() for _ in range(500)]
        assert system.post(posted[:400])[0] == 202
        system.drain()
        assert system.stop() == 0
        assert system.run("backup", "--with-secret", str(tmp_path / "backup")).returncode == 0
        lose(system, brought_to)
        restored = system.run("restore", str(tmp_path / "backup"))
        assert restored.stdout == b"restored beacons=400 installs=400 spooled=0\n", restored.stderr
        assert Home(system.home).engine.exists() == (brought_to == "embedded")
        system.start()
        assert system.post(posted[400:])[0] == 202
        found = verdict(system, ledger(planes_of(system), posted))
        assert found.good, str(found)


def test_a_restored_backup_brings_back_nobody_who_was_erased_since(system: System, tmp_path: Path) -> None:
    """With the decisions a restore skips installs that were erased after the backup.

    Old beacons of such an install are duplicates, and new ones are accepted.
    """
    engine = "server" if system.environ["PHAROS_CLICKHOUSE_URL"] else "embedded"
    mine, others = beacon(), [beacon() for _ in range(10)]
    assert system.post([mine, *others])[1]["accepted"] == 11
    system.drain()
    assert system.run("backup", "--with-secret", str(tmp_path / "backup")).returncode == 0
    asked = system.run("rights", "request", "erase", mine["install_id"])
    assert asked.returncode == 0, asked.stderr
    ticket = asked.stdout.decode().strip()
    wait_for(lambda: b'"done"' in system.run("rights", "status", ticket).stdout, "the erasure", 300)
    decisions = tmp_path / "decisions.json"
    decisions.write_bytes(system.run("rights", "decisions").stdout)
    assert mine["install_id"] not in decisions.read_text()
    lose(system, engine)
    restored = system.run("restore", str(tmp_path / "backup"), "--decisions", str(decisions))
    assert restored.stdout == b"restored beacons=10 installs=10 spooled=0\n", restored.stderr
    system.start()
    assert system.post({**mine, "beacon_id": others[0]["install_id"]})[1]["duplicates"] == 1
    assert system.post(beacon(install_id=mine["install_id"]))[1]["accepted"] == 1
    system.drain()
    assert [row["value"] for row in system.rows("installs", grain="period")] == [11]
    assert system.stop() == 0
    assert system.run("recount").returncode == 0
