"""Long-running commands: one instance per home, SIGHUP, addresses, home paths, and parts that are down."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon
from tests.end_to_end.system import System, free_ports, parent, wait_for
from tests.pharos_cli.command import pharos

CATALOG = 'mode = "declared"\n[[module]]\nname = "{}"\npurpose = "why"\nowner = "us"\n'


def binds() -> dict[str, str]:
    """Return free addresses for collector and dashboard."""
    collector, dashboard = free_ports(2)
    return {
        "PHAROS_COLLECTOR_BIND": f"127.0.0.1:{collector}",
        "PHAROS_DASHBOARD_BIND": f"127.0.0.1:{dashboard}",
        "PHAROS_CLICKHOUSE_URL": "http://127.0.0.1:9/pharos",
    }


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A Pharos whose ClickHouse server is unavailable, so that every part is a process."""
    home = tmp_path_factory.mktemp("services") / "home"
    system = System(home, "http://127.0.0.1:9/pharos")
    try:
        system.start("/healthz")
        yield system
    finally:
        assert system.stop() == 0


@pytest.mark.parametrize("word", ["collector", "dashboard", "load", "serve"])
def test_a_second_one_over_a_home_stops(system: System, word: str) -> None:
    """A second instance on a home exits with one line, and the first continues."""
    done = pharos(system.home, word, **binds())  # type: ignore[arg-type]
    lock = {"load": "loader"}.get(word, word)
    running = f"Pharos is already running with the home {system.home}"
    said = f"pharos: {running} (another process holds {lock}.lock): stop it first\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    with urllib.request.urlopen(f"{system.collector}/metrics", timeout=30) as answer:
        assert b"pharos_spool_beacons" in answer.read()
    assert system.post([beacon()])[0] == 202


def test_a_collector_outlives_the_loss_of_its_counters_and_a_worker(tmp_path: Path) -> None:
    """After its counters in /dev/shm are removed, `/metrics` works and a dead worker is replaced."""
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY) as collector:
        collector.post(beacon())
        wait_for(lambda: all(counters_of(pid) for pid in collector.workers()), "both workers", 60)
        (folder,) = counters_of(collector.workers()[0])
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        assert b"pharos_spool_beacons" in collector.request("GET", "/metrics").body
        old = collector.workers()
        os.kill(old[0], signal.SIGKILL)
        wait_for(lambda: len(set(collector.workers()) - set(old)) == 1, "a new worker", 60)
        assert collector.post(beacon()).status == 202
        assert collector.request("GET", "/metrics").status == 200


def counters_of(worker: int) -> list[Path]:
    """Return the folder of a collector's counters, which its workers map."""
    maps = Path(f"/proc/{worker}/maps").read_text()
    return sorted({Path(line.split()[-1]).parent for line in maps.splitlines() if line.endswith(".db")})


def test_a_hang_up_ends_nothing_and_has_files_read(system: System) -> None:
    """SIGHUP to any process of `pharos serve` ends none of them."""
    (system.home / "catalog.toml").write_text(CATALOG.format("other"))
    before = system.processes()
    for pid in before:
        os.kill(pid, signal.SIGHUP)
    wait_for(lambda: "SIGHUP: the parts reload their files" in system.log(), "the log to say so", 60)
    wait_for(lambda: system.post([beacon()])[1].get("undeclared") == 1, "the catalog to be read", 60)
    (system.home / "catalog.toml").write_text('mode = "open"\n')
    wait_for(lambda: system.post([beacon()])[1].get("accepted") == 1, "the catalog to be read", 60)
    assert system.processes() == before


def test_a_part_that_is_down_is_told(system: System) -> None:
    """`/readyz`, doctor and the log name a part that is down, until it is up again."""

    def down() -> dict[str, dict[str, str]]:
        with urllib.request.urlopen(f"{system.collector}/readyz", timeout=30) as answer:
            return json.loads(answer.read()).get("down", {})  # type: ignore[no-any-return]

    assert down() == {}
    with socket.socket() as squatter:  # the port is taken once the dashboard lets go of it
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = int(system.dashboard.rpartition(":")[2])
        pids = {pid for pid, line in system.processes().items() if "pharos dashboard" in line}
        for pid in sorted(pids, key=lambda pid: parent(pid) in pids):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: bound(squatter, port), "the port", 60)
        squatter.listen()
        wait_for(lambda: "dashboard" in down(), "/readyz to tell", 60)
        told = down()["dashboard"]
        assert told["status"] == "down"
        assert told["why"].startswith("it ended with status ")
        assert time.time() - 600 < time.mktime(time.strptime(told["since"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        done = system.run("doctor")
        assert b"FAIL parts        dashboard is down since " in done.stdout
        wait_for(lambda: "PHAROS_DASHBOARD_BIND" in system.log(), "the part to say why", 60)
    assert "dashboard ended with status" in system.log()
    wait_for(lambda: down() == {}, "the dashboard to be up again", 90)
    wait_for(lambda: "dashboard is up again" in system.log(), "the log to say so", 60)


def test_a_command_finds_a_pharos_that_listens_elsewhere(system: System) -> None:
    """In a terminal that does not know the addresses, doctor asks the parts where they are."""
    wait_for(lambda: json.loads((system.home / "parts.json").read_bytes())["down"] == [], "all parts", 60)
    done = pharos(system.home, "doctor")
    assert "ok   parts        serve, collector, dashboard running" in done.stdout, done.stdout


def bound(squatter: socket.socket, port: int) -> bool:
    """Return whether the port could be bound."""
    try:
        squatter.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("word", ["collector", "dashboard", "serve"])
def test_a_port_in_use_stops_the_start(tmp_path: Path, word: str) -> None:
    """A used port stops the start with one line that names the setting."""
    part, other = ("DASHBOARD", "COLLECTOR") if word == "dashboard" else ("COLLECTOR", "DASHBOARD")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        free = f"127.0.0.1:{free_ports(1)[0]}"
        done = pharos(tmp_path / "home", word, **{f"PHAROS_{part}_BIND": bind, f"PHAROS_{other}_BIND": free})  # type: ignore[arg-type]
    assert done.stderr == (
        f"pharos: PHAROS_{part}_BIND {bind} cannot be used: address already in use: "
        "stop the program that listens there, or set another port\n"
    )
    assert done.returncode == 1


STOPPED_AT_ITS_FIRST_KEY = """
import os, signal, sys
from core.credentials import Credentials
from pharos.cli import main

add = Credentials.add_key


def stopped(self, *given, **named):
    os.kill(os.getpid(), signal.SIGTERM)
    return add(self, *given, **named)


Credentials.add_key = stopped
sys.argv = ["pharos", "serve"]
main()
"""


def test_a_stop_during_the_first_start_loses_no_key(tmp_path: Path) -> None:
    """Only their hashes are stored, so the key and the password are shown before Pharos stops."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PHAROS_")}
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_AT_ITS_FIRST_KEY],
        env=environ | binds() | {"PHAROS_HOME": str(tmp_path / "home")},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"  ingest key  pik_\S+\n  login       admin  \S+\n", done.stdout)


@pytest.mark.parametrize("other", ["127.0.0.1", "0.0.0.0", "[::]"])
def test_two_parts_on_one_port_stop_the_start(tmp_path: Path, other: str) -> None:
    """Else one of them would be restarted for ever. Nothing is made before."""
    port = free_ports(1)[0]
    binds = {"PHAROS_COLLECTOR_BIND": f"127.0.0.1:{port}", "PHAROS_DASHBOARD_BIND": f"{other}:{port}"}
    done = pharos(tmp_path / "home", "serve", **binds)  # type: ignore[arg-type]
    said = "pharos: PHAROS_COLLECTOR_BIND and PHAROS_DASHBOARD_BIND are the same port: give one of them another\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert not (tmp_path / "home").exists()


def test_an_address_of_no_interface_stops_the_start(tmp_path: Path) -> None:
    """The line says that the address is not one of this machine."""
    done = pharos(tmp_path / "home", "collector", PHAROS_COLLECTOR_BIND="192.0.2.7:8000")
    said = "cannot be used: cannot assign requested address: no network interface of this machine has it\n"
    assert (done.returncode, done.stderr) == (1, f"pharos: PHAROS_COLLECTOR_BIND 192.0.2.7:8000 {said}")


@pytest.mark.parametrize("name", ["a b", "what?", "100%25", "o'brien", 'say "x"', "größe", "#1", "a;b&c=d", "x" * 200])
def test_a_home_of_any_name(tmp_path: Path, name: str) -> None:
    """Collector, commands and doctor work with any home path and locale, and write nothing outside."""
    home = tmp_path / name / "home"
    home.parent.mkdir()
    with Collector(home, PHAROS_INGEST_KEY=KEY, LC_ALL="C", LANG="C") as collector:
        assert collector.post(beacon()).status == 202
    done = pharos(home, "doctor", LC_ALL="C", LANG="C")
    assert "ok   spool        1 beacons to load" in done.stdout
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / name).iterdir() if path.suffix != ".log"] == ["home"]


def test_a_home_with_a_path_that_is_too_long_stops_the_start(tmp_path: Path) -> None:
    """A too long home path stops the start with one line."""
    home = tmp_path.joinpath(*["x" * 200] * 4)
    for words in (("collector",), ("keys", "new")):
        done = pharos(home, *words)
        assert done.returncode == 1
        assert done.stderr.startswith("pharos: ")
        assert len(done.stderr.splitlines()) == 1


def test_ipv6(tmp_path: Path) -> None:
    """`[::1]:PORT` is a valid address."""
    collector, dashboard = free_ports(2)
    settings = {"PHAROS_COLLECTOR_BIND": f"[::1]:{collector}", "PHAROS_DASHBOARD_BIND": f"[::1]:{dashboard}"}
    system = System(tmp_path / "home", "http://127.0.0.1:9/pharos", **settings)
    system.collector, system.dashboard = f"http://[::1]:{collector}", f"http://[::1]:{dashboard}"
    try:
        system.start("/healthz")
        assert system.post([beacon()])[0] == 202
        wait_for(lambda: "Pharos is up." in system.log(), "serve to say so", 60)
    finally:
        assert system.stop() == 0
