"""`pharos drain` and `pharos doctor`, and invalid settings."""

import http.server
import json
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from collector.rights.request_store import RequestStore
from collector.spool import Loading, Spool
from core.home import Home
from core.outbox import Outbox
from core.settings import Settings
from pharos import doctor, serve
from pharos.cli import cli
from pharos.context import require_tables
from tests.collector.mmdb import mmdb
from tests.collector.sample import beacon
from tests.collector.small_disk import small_disk
from tests.end_to_end.system import free_ports
from tests.pharos_cli.command import pharos


def test_an_empty_spool_is_drained(tmp_path: Path) -> None:
    """`drain` returns at once if nothing waits."""
    Home(tmp_path / "home")
    done = pharos(tmp_path / "home", "drain", "--timeout", "30")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_drain_gives_up_when_nothing_loads(tmp_path: Path) -> None:
    """`drain --timeout` exits with status 1, the number of waiting beacons, and why they wait."""
    home = Home(tmp_path / "home")
    pharos(home.path, "import", "-", given=json.dumps(beacon()).encode())

    def refusal() -> str:
        done = pharos(home.path, "drain", "--timeout", "0.1")
        assert done.returncode == 1
        return done.stderr.removeprefix("pharos: 1 beacons are not loaded after 0.1 s: ")

    assert refusal() == "no loader runs with this home; pharos serve or pharos load starts one\n"
    with home.lock("loader"), closing(Spool(home.spool)) as spool:
        assert refusal() == "the loader is at work\n"
        spool.note_trouble(1_800_000_000, "the ClickHouse server does not answer")
        assert refusal() == "loading has failed since 2027-01-15T08:00:00Z: the ClickHouse server does not answer\n"


CHECKS = [
    "config",
    "home",
    "secret",
    "credentials",
    "keys",
    "country",
    "catalog",
    "spool",
    "duplicates",
    "quarantine",
    "rights",
    "webhook",
    "space",
    "clock",
    "parts",
    "engine",
    "grants",
    "retention",
    "addresses",
    "states",
]


def test_a_new_home_is_in_order(tmp_path: Path) -> None:
    """On a new home doctor prints one line per check, in order, and all pass."""
    Home(tmp_path / "home")
    done = pharos(tmp_path / "home", "doctor")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["ok", id] for id in CHECKS]
    assert done.returncode == 0  # stderr may hold a word of chDB's: it looks for cgroups, and a container may have none


def test_the_doctor_makes_nothing(tmp_path: Path) -> None:
    """Doctor creates neither a home nor files in it. Without a home it says so."""
    done = pharos(tmp_path / "home", "doctor")
    assert done.returncode == 0
    assert f"ok   home         warning: {tmp_path / 'home'} is not there yet." in done.stdout
    assert not (tmp_path / "home").exists()
    pharos(tmp_path / "home", "import", "-", given=json.dumps(beacon()).encode())
    pharos(tmp_path / "home", "keys", "new")
    pharos(tmp_path / "home", "migrate")
    before = contents(tmp_path / "home")
    assert {"spool.sqlite", "credentials.sqlite", "clickhouse"} <= {path.split("/")[0] for path in before}
    done = pharos(tmp_path / "home", "doctor")
    assert "ok   spool        1 beacons to load" in done.stdout
    assert "ok   credentials  1 ingest keys" in done.stdout
    assert contents(tmp_path / "home") == before


def test_the_doctor_names_a_clock_that_nobody_has_set() -> None:
    """A machine that starts in 1970 accepts no beacons, and the doctor says why."""
    assert not doctor._clock(0.0).ok
    assert doctor._clock(0.0).message.startswith("the clock shows 1970-01-01: set it")
    assert doctor._clock(1_800_000_000.0).ok


ERASE = "rights", "request", "erase", "5f0c1c0e-3b1e-4b7e-8f7a-6d5c4b3a2f1e"


@pytest.mark.parametrize(
    "words",
    [
        ("access", "list"), ("access", "verify"), ("backup", "BACKUP"), ("catalog", "check"), ("drain",),
        ("keys", "list"), ("keys", "revoke", "one"), ("licenses", "export"),
        ("privacy", "affected", "--since", "2026-11-01", "--until", "2026-11-02"), ("privacy", "linkage"),
        ("quarantine", "drop", "1"), ("quarantine", "list"), ("quarantine", "retry", "1"), ("recount",),
        ("report", "--view", "v", "--out", "FILE"), ERASE, ("rights", "decisions"), ("rights", "list"),
        ("rights", "status", "ticket"), ("tokens", "list"), ("tokens", "revoke", "one"), ("users", "list"),
        ("users", "password", "ann"), ("users", "remove", "ann"),
    ],
)  # fmt: skip
def test_a_command_makes_no_home_in_the_wrong_place(tmp_path: Path, words: tuple[str, ...]) -> None:
    """With a wrong PHAROS_HOME a command names the missing home: in a new one it would succeed in vain."""
    done = pharos(tmp_path / "home", *words)
    missing = f"pharos: there is no home at {tmp_path / 'home'}: set PHAROS_HOME to that of Pharos\n"
    assert (done.returncode > 0, done.stdout, done.stderr) == (True, "", missing)
    assert list(tmp_path.iterdir()) == []


def contents(home: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, size and modification time of all files of a home."""
    return {
        str(path.relative_to(home)): (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns)
        for path in home.rglob("*")
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_read_only_home_is_said_in_one_line(tmp_path: Path) -> None:
    """With a read-only home no command prints a traceback, and doctor reports what it can read."""
    home = tmp_path / "home"
    pharos(home, "import", "-", given=json.dumps(beacon()).encode())
    subprocess.run(["mount", "--bind", home, home], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", home], check=True)
        for words in (("keys", "list"), ("collector",), ("dashboard",), ("serve",), ("drain",), ("access", "verify")):
            done = pharos(home, *words)
            assert (done.returncode, done.stderr) == (
                1,
                f"pharos: {home} cannot be written: its file system is read-only\n",
            )
        done = pharos(home, "doctor")
        assert done.returncode == 1
        assert f"FAIL home         {home} cannot be written: its file system is read-only" in done.stdout
        assert "ok   spool        1 beacons to load" in done.stdout
        assert "Traceback" not in done.stderr
    finally:
        subprocess.run(["umount", home], check=True)


def test_a_lost_secret_stops_the_start(tmp_path: Path) -> None:
    """A home whose secret is gone makes no new one: its installs would count again as others. Doctor says so too."""
    home = tmp_path / "home"
    pharos(home, "import", "-", given=json.dumps(beacon()).encode())
    secret = (home / "secret").read_text()
    (home / "secret").unlink()
    for words in (("serve",), ("collector",), ("import", "-")):
        done = pharos(home, *words)
        assert (done.returncode, f"the root secret of {home} is missing" in done.stderr) == (1, True)
    assert f"FAIL secret       the root secret of {home} is missing" in pharos(home, "doctor").stdout
    assert "ok   secret       from PHAROS_SECRET" in pharos(home, "doctor", PHAROS_SECRET=secret).stdout
    assert "FAIL secret       PHAROS_SECRET is not" in pharos(home, "doctor", PHAROS_SECRET=secret[:-1]).stdout


def test_a_lost_folder_of_the_engine_stops_the_dashboard(tmp_path: Path) -> None:
    """Figures that were there do not silently begin anew, as when a disk is not mounted."""
    home = tmp_path / "home"
    pharos(home, "import", "-", given=json.dumps(beacon()).encode())
    with closing(Spool(home / "spool.sqlite")) as spool, spool.transaction():
        spool.db.execute("UPDATE loading SET loaded = 7")
    done = pharos(home, "dashboard")
    assert (done.returncode, f"{home / 'clickhouse'} is missing, and 7 beacons" in done.stderr) == (1, True)
    (home / "clickhouse").mkdir()
    done = pharos(home, "dashboard", PHAROS_DASHBOARD_BIND="198.51.100.1:8050")
    assert "198.51.100.1:8050 cannot be used" in done.stderr  # the next check: the folder is no fault any more


def test_figures_that_stay_behind_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who only sets the URL of a server begins anew there: the doctor and the loader's log say how to bring them."""
    home = Home(tmp_path / "home")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/pharos"
    settings = Settings(home=home.path, clickhouse_url=url)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # of this process
    monkeypatch.setattr(serve, "make_loader", lambda *_: SimpleNamespace(run=lambda stop: None))
    told = f"the tables in {home.engine} are not read"
    for stays in (False, True):
        if stays:
            home.engine.mkdir()
        assert (told in pharos(home.path, "doctor", PHAROS_CLICKHOUSE_URL=url).stdout) is stays
        serve.load(settings, home)
        assert (told in caplog.text) is stays


HALF_MADE = {
    "an empty file": "",
    "without tables": "PRAGMA journal_mode = WAL; PRAGMA user_version = 0;",
    "a table without its row": "PRAGMA journal_mode = WAL;"
    "CREATE TABLE loading (one INTEGER PRIMARY KEY CHECK (one = 1), loaded INTEGER NOT NULL DEFAULT 0, fresh_to REAL, "
    "since REAL, why TEXT, written REAL NOT NULL DEFAULT 0);",
}


@pytest.mark.parametrize("script", HALF_MADE.values(), ids=HALF_MADE)
def test_a_half_made_spool_does_not_stop_the_dashboard(tmp_path: Path, script: str) -> None:
    """A collector that starts at the same time may still be making it. Nothing was loaded then."""
    home = Home(tmp_path / "home")
    home.spool.touch(mode=0o600)
    with closing(sqlite3.connect(home.spool, isolation_level=None)) as db:
        db.executescript(script)
    require_tables(home)


def test_serve_makes_the_spool_before_it_starts_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Collector and dashboard start at the same time, and both use it."""
    home = tmp_path / "home"
    made: list[Loading] = []

    def run(*_: object) -> int:
        with closing(Spool(home / "spool.sqlite", only_read=True)) as spool:
            made.append(spool.loading())
        return 0

    monkeypatch.setattr("pharos.serve.serve", run)
    monkeypatch.setattr("pharos.cli._begin_service", lambda: None)
    for name, port in zip(("COLLECTOR", "DASHBOARD"), free_ports(2), strict=True):
        monkeypatch.setenv(f"PHAROS_{name}_BIND", f"127.0.0.1:{port}")
    monkeypatch.setenv("PHAROS_HOME", str(home))
    assert CliRunner().invoke(cli, ["serve"]).exit_code == 0
    assert [each.loaded for each in made] == [0]


def test_the_doctor_says_that_a_certificate_is_not_trusted(tmp_path: Path) -> None:
    """For an untrusted certificate doctor names the certificate as the cause."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    Home(tmp_path / "home")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("localhost", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"https://pharos:x@localhost:{server.server_address[1]}/pharos"
        done = pharos(tmp_path / "home", "doctor", PHAROS_CLICKHOUSE_URL=url)
    finally:
        server.shutdown()
    assert "FAIL engine       the certificate of the ClickHouse server is not trusted: self" in done.stdout
    assert done.returncode == 1


def test_the_doctor_names_the_setting_of_a_server_that_is_away(tmp_path: Path) -> None:
    """The address itself may be a secret."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/pharos"
    settings = {"PHAROS_CLICKHOUSE_URL": url, "PHAROS_LICENSE_CLICKHOUSE_URL": url + "_license"}
    away = "the ClickHouse server does not answer (connection refused); the address and the login are in"
    done = pharos(tmp_path / "home", "doctor", **settings)  # type: ignore[arg-type]
    assert f"FAIL engine       {away} PHAROS_CLICKHOUSE_URL\n" in done.stdout
    assert f"FAIL engine       license plane: {away} PHAROS_LICENSE_CLICKHOUSE_URL\n" in done.stdout


def test_a_full_disk_is_said_with_the_cure(tmp_path: Path) -> None:
    """By each command that writes, in one line, and by the doctor."""
    full = "no space is left on the disk of the home, or of the file that is written: free some, then try again"
    with small_disk(tmp_path / "disk", 8) as disk:
        home = Home(disk.path / "home")
        pharos(home.path, "keys", "new")
        disk.fill()
        for words in (("keys", "new"), ("import", "-"), ("users", "add", "jane", "--role", "admin")):
            done = pharos(home.path, *words, given=json.dumps(beacon()).encode())
            assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"pharos: {full}")
        done = pharos(home.path, "doctor")
    assert (
        f"FAIL space        the disk is nearly full: 0 MiB free at {home.path}; the collector accepts no" in done.stdout
    )


@pytest.mark.parametrize("words", [("migrate",), ("recount",), ("privacy", "linkage")])
def test_a_server_that_is_away_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    """It says why there is no answer, without the warnings of the driver."""
    Home(tmp_path / "home")
    (port,) = free_ports(1)
    done = pharos(tmp_path / "home", *words, PHAROS_CLICKHOUSE_URL=f"http://127.0.0.1:{port}/pharos")
    assert done.returncode > 0
    assert done.stderr == "pharos: the ClickHouse server does not answer (connection refused)\n"


def test_a_home_that_is_open_to_others_fails(tmp_path: Path) -> None:
    """A failing check is marked, the others still run, and the exit status is 1."""
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "home").chmod(0o755)
    done = pharos(tmp_path / "home", "doctor")
    assert [line.split()[1] for line in done.stdout.splitlines()] == CHECKS
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAIL")] == ["home"]
    assert done.returncode == 1


def test_wrong_settings_are_a_failing_check(tmp_path: Path) -> None:
    """Doctor names an invalid setting and stops."""
    done = pharos(tmp_path / "home", "doctor", PHAROS_K="few")
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL config")
    assert "PHAROS_K" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("serve",),
        ("collector",),
        ("dashboard",),
        ("load",),
        ("migrate",),
        ("keys", "list"),
        ("import", "-"),
        ("drain",),
    ],
)
def test_a_misspelt_setting_stops_the_start(tmp_path: Path, words: tuple[str, ...]) -> None:
    """An unknown `PHAROS_` name stops every command before anything is created."""
    done = pharos(tmp_path / "home", *words, PHAROS_RATELIMIT="marked-value")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pharos: PHAROS_RATELIMIT ")
    assert "marked-value" not in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_weak_key_stops_the_start_outside_loopback(tmp_path: Path) -> None:
    """Outside loopback a weak secret stops the start. The message has only its name."""
    done = pharos(tmp_path / "home", "collector", PHAROS_COLLECTOR_BIND="0.0.0.0:8000", PHAROS_INGEST_KEY="hunter2")
    assert done.returncode == 1
    assert done.stderr.startswith("pharos: PHAROS_INGEST_KEY ")
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("words", [("serve",), ("collector",), ("import", "-"), ("demo",)])
def test_a_country_database_that_cannot_be_read_stops_the_start(tmp_path: Path, words: tuple[str, ...]) -> None:
    """An unreadable database stops commands that store beacons, with one line that names the setting."""
    done = pharos(tmp_path / "home", *words, PHAROS_COUNTRY_DATABASE=str(tmp_path / "missing.mmdb"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "pharos: PHAROS_COUNTRY_DATABASE cannot be read: No such file or directory"
    assert "ingest key" not in done.stdout
    assert not (tmp_path / "home" / "credentials.sqlite").exists()


def test_the_doctor_looks_at_the_country_database(tmp_path: Path) -> None:
    """Doctor prints the age of the database, or its error."""
    file = tmp_path / "countries.mmdb"
    file.write_bytes(mmdb({"198.51.100.0/24": {"country": {"iso_code": "NL"}}}))
    Home(tmp_path / "home")
    done = pharos(tmp_path / "home", "doctor", PHAROS_COUNTRY_DATABASE=str(file))
    assert "ok   country      data of 2026-11-01, " in done.stdout
    file.write_bytes(b"something else")
    done = pharos(tmp_path / "home", "doctor", PHAROS_COUNTRY_DATABASE=str(file))
    assert "FAIL country      PHAROS_COUNTRY_DATABASE is not a readable MMDB file\n" in done.stdout
    assert done.returncode == 1


def test_the_doctor_warns_of_a_key_that_is_bound_to_no_module(tmp_path: Path) -> None:
    """Doctor warns about a key for all modules, because a module's users can find it. It is no failure."""
    home = tmp_path / "home"
    pharos(home, "keys", "new", "--module", "invoice_pro")
    assert "ok   keys         each ingest key is bound to its modules" in pharos(home, "doctor").stdout
    pharos(home, "keys", "new")
    assert "ok   keys         warning: " in pharos(home, "doctor").stdout


def test_the_doctor_warns_of_license_reports_that_cannot_be_read(tmp_path: Path) -> None:
    """It says how many installs have such reports, as the last pass of the loader found. It is no failure."""
    home = Home(tmp_path / "home")
    with closing(Spool(home.spool)) as spool:
        assert (
            "ok   states       embedded: sealed with the root secret of this home" in pharos(home.path, "doctor").stdout
        )
        spool.note_unreadable(3)
    told = pharos(home.path, "doctor").stdout
    assert "ok   states       warning: license reports of 3 installs cannot be read and are left out: " in told


def test_the_doctor_looks_at_owners_requests(tmp_path: Path) -> None:
    """A request that nobody has carried out for an hour is a failure."""
    home = Home(tmp_path / "home")
    with closing(Spool(home.spool)) as spool:
        RequestStore(spool).add(b"new", 1, "erase", 1, time.time() - 60, lambda _: {"who": 1})
        assert "ok   rights       the oldest owner's request has waited for " in pharos(home.path, "doctor").stdout
        RequestStore(spool).add(b"old", 2, "erase", 2, time.time() - 3700, lambda _: {"who": 2})
        done = pharos(home.path, "doctor")
        assert "FAIL rights       the oldest owner's request has waited for 37" in done.stdout
        assert done.returncode == 1
        requests = RequestStore(spool).pending()
        RequestStore(spool).finish(requests, "failed", time.time())
    assert "ok   rights       no owner's request waits\n" in pharos(home.path, "doctor").stdout


def test_the_doctor_looks_at_the_webhook(tmp_path: Path) -> None:
    """An event that waits for more than two hours is a failure, with the receiver's last answer."""
    home = Home(tmp_path / "home")

    def doctor() -> subprocess.CompletedProcess[str]:
        secret = f"whsec_{'QUJD' * 8}"
        return pharos(home.path, "doctor", PHAROS_WEBHOOK_URL="http://127.0.0.1:1/", PHAROS_WEBHOOK_SECRET=secret)

    assert "ok   webhook      nothing to send yet" in doctor().stdout
    outbox, now = Outbox(home.dashboard), time.time()
    outbox.take([("one", "a case", b"{}")], 0, now - 60)
    assert re.search(r"ok   webhook      1 events to send, the oldest for \d+ s\n", doctor().stdout)
    outbox.take([("two", "a case", b"{}")], 0, now - 3 * 3600)
    outbox.delivered("one", now - 10)
    outbox.failed(outbox.due(now, 1)[0], "answered 503", now)
    done = doctor()
    found = re.search(
        r"FAIL webhook      1 events to send, the oldest for (\d+) s; the last was taken \S+; (.+)\n", done.stdout
    )
    assert found is not None
    assert int(found[1]) >= 3 * 3600
    assert found[2] == "since then the receiver: answered 503"
    assert done.returncode == 1


class _NotReady(http.server.BaseHTTPRequestHandler):
    """A dashboard whose tables are not there yet."""

    def do_GET(self) -> None:
        ready = self.path != "/readyz"
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(b"{}" if ready else b'{"detail":"ClickHouse has not applied the migration 001_usage.sql"}')

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_doctor_gives_the_reason_of_a_dashboard_that_is_not_ready(tmp_path: Path) -> None:
    """It leaves out what needs the tables, where each check would only repeat an error of ClickHouse."""
    home = Home(tmp_path / "home")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _NotReady) as server, home.lock("engine"):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = pharos(home.path, "doctor", PHAROS_DASHBOARD_BIND=f"127.0.0.1:{server.server_port}")
        server.shutdown()
    why = "ClickHouse has not applied the migration 001_usage.sql"
    assert f"FAIL engine       embedded, in the running dashboard, which answers 503: {why}\n" in done.stdout
    assert not re.search(r"^\S+ +(retention|addresses) ", done.stdout, re.MULTILINE)
    assert "ok   states " in done.stdout
    assert done.returncode == 1
