"""The license plane on a ClickHouse server of its own: what each server holds, and each of them away for a while.

The second server is started from CLICKHOUSE_BINARY. Without it, a second database of the same server replaces it.
"""

import contextlib
import os
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from core.home import Home
from core.settings import Settings
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import System, clickhouse_url, free_ports, running_at, wait_for
from tests.end_to_end.test_outage import Proxy, readiness
from tests.end_to_end.test_rights import days_of, figures, request
from tests.faults.verdict import ledger, planes_of, verdict
from warehouse.engine import Engine, EngineError
from warehouse.limited_engine import LimitedEngine
from warehouse.migrate import MigrationError, migrate
from warehouse.plane_tables import EVERYWHERE, plane_of
from warehouse.queries import health
from warehouse.server_users import ServerUser

pytestmark = pytest.mark.server
CLUSTER = os.environ.get("CLICKHOUSE_CLUSTER", "")
MODULE = "invoice_pro"  # of the beacons of these tests
GRANTS = (
    "SELECT, INSERT, ALTER, CREATE, DROP, OPTIMIZE, TRUNCATE, SYSTEM, KILL QUERY, CLUSTER, REMOTE, ACCESS MANAGEMENT"
)
PASSWORDS = {"usage": "usage-administrator-1", "license": "license-administrator-2"}
CONFIG = """<clickhouse>
<logger><level>warning</level><log>{folder}/server.log</log><errorlog>{folder}/error.log</errorlog></logger>
<listen_host>127.0.0.1</listen_host><http_port>{http}</http_port><tcp_port>{tcp}</tcp_port>
<path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
<user_directories><users_xml><path>{folder}/users.xml</path></users_xml>
<local_directory><path>{folder}/access/</path></local_directory></user_directories>
</clickhouse>"""
USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
<access_management>1</access_management></default></users></clickhouse>"""


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server besides that of CLICKHOUSE_URL."""
    if "CLICKHOUSE_BINARY" not in os.environ:
        yield os.environ["CLICKHOUSE_URL"]
        return
    folder = tmp_path_factory.mktemp("second")
    http, tcp = free_ports(2)
    (folder / "config.xml").write_text(CONFIG.format(folder=folder, http=http, tcp=tcp))
    (folder / "users.xml").write_text(USERS)
    process = subprocess.Popen(
        [os.environ["CLICKHOUSE_BINARY"], "server", f"--config-file={folder}/config.xml"],
        env=os.environ | {"CLICKHOUSE_WATCHDOG_ENABLE": "0"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{http}/ping", timeout=2):
            return True
        return False

    try:
        wait_for(answers, "the second server", 120)
        yield f"http://default@127.0.0.1:{http}"
    finally:
        process.kill()
        process.wait(60)


def administrator(url: str, plane: str) -> str:
    """Create an administrator for a new database of a server; return the database's URL with its login."""
    name = f"pharos_{uuid.uuid4().hex[:12]}"
    home_url = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    cluster = CLUSTER if plane == "usage" else ""
    engine = Engine(Settings(clickhouse_url=home_url, clickhouse_cluster=cluster), Home(Path("unused"), make=False))
    engine.create_database()
    engine.command(f"CREATE USER admin_{name}{engine.on_cluster} IDENTIFIED BY '{PASSWORDS[plane]}'")
    engine.command(f"GRANT{engine.on_cluster} {GRANTS} ON *.* TO admin_{name} WITH GRANT OPTION")
    engine.close()
    parts = urlsplit(home_url)
    return urlunsplit(parts._replace(netloc=f"admin_{name}:{PASSWORDS[plane]}@{parts.hostname}:{parts.port}"))


def through(url: str) -> tuple[Proxy, str]:
    """Return a proxy before a server, and the URL that goes through it."""
    parts = urlsplit(url)
    proxy = Proxy(str(parts.hostname), int(parts.port or 8123))
    login = parts.netloc.rpartition("@")[0]
    return proxy, urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}"))


@pytest.fixture
def urls(second: str) -> tuple[str, str]:
    """A new database on each of the two servers."""
    return administrator(clickhouse_url("server"), "usage"), administrator(second, "license")


@pytest.fixture
def system(urls: tuple[str, str], tmp_path: Path) -> Iterator[System]:
    with running_at(urls[0], tmp_path / "home", **of_license(urls[1])) as system:
        yield system


def of_license(url: str) -> dict[str, str]:
    """The settings of a system whose license plane is at this URL."""
    return {"PHAROS_LICENSE_CLICKHOUSE_URL": url, "PHAROS_CLICKHOUSE_CLUSTER": CLUSTER, "PHAROS_K": "1"}


def settings_of(home: Path, usage: str, license: str) -> Settings:
    return Settings(home=home, clickhouse_url=usage, license_clickhouse_url=license, clickhouse_cluster=CLUSTER)


@contextlib.contextmanager
def engine_of(settings: Settings) -> Iterator[Engine]:
    engine = Engine(settings, Home(settings.home))
    try:
        yield engine
    finally:
        engine.close()


def tables_on(server: Engine) -> set[str]:
    """The tables and views of a server's database."""
    found = server.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    return {name.removesuffix("_local") for (name,) in found}


def test_a_beacon_goes_to_both_servers_and_each_holds_its_plane_alone(system: System) -> None:
    """The figures and the licensing rows have the beacon. Each server has tables, rows and users of one plane."""
    sent = [beacon() for _ in range(7)]
    assert system.post(sent)[1]["accepted"] == 7
    assert figures(system, MODULE) == (7, 7, 7)
    assert sum(row["value"] for row in system.rows("installs", grain="period", by="license_source")) == 7
    assert system.read("/api/v1/licensing/flags")[0] == 200
    told = system.run("doctor").stdout.decode()
    assert "server of the usage plane" in told
    assert "server of the license plane" in told
    assert "FAIL engine" not in told
    assert "FAIL grants" not in told
    assert "FAIL retention" not in told
    affected = system.run("privacy", "affected", "--since", "2020-01-01", "--until", "2099-01-01").stdout.decode()
    assert "table      license_states: rows=7" in affected
    assert "table      usage_beacons: rows=7" in affected
    linkage = system.run("privacy", "linkage")
    assert linkage.returncode == 0, linkage.stderr
    with engine_of(system.settings) as engine:
        listed = {table.name for table in health.tables(LimitedEngine(engine, 5))}
        assert listed >= {"usage_beacons", "license_states"}
        usage, license = engine.servers
        for server, plane in ((usage, "usage"), (license, "license")):
            assert {plane_of(table) for table in tables_on(server) - EVERYWHERE} == {plane}
        assert usage.accounts == [ServerUser.PRODUCT, ServerUser.LOADER]
        assert license.accounts == [ServerUser.LICENSING, ServerUser.LOADER, ServerUser.DESK]
        for server, absent in ((usage, ServerUser.LICENSING), (license, ServerUser.PRODUCT)):
            named = {name for (name,) in server.query("SELECT name FROM system.users")}
            assert {account.user(server.database) for account in server.accounts} <= named
            assert absent.user(server.database) not in named
    found = verdict(system, ledger(planes_of(system), sent))
    assert found.good, str(found)


def test_no_login_of_one_server_opens_the_other(urls: tuple[str, str], tmp_path: Path) -> None:
    """The password of one administrator, and the passwords derived from it, are refused by the other server."""
    usage, license = urls
    settings = Settings(
        home=tmp_path / "home", clickhouse_url=usage, license_clickhouse_url=license, clickhouse_cluster=CLUSTER
    )
    with engine_of(settings) as engine:
        migrate(engine)
        first, second = (server._connections.server for server in engine.servers)
        for account in ServerUser:
            assert first.login(account)[1] != second.login(account)[1]
    exchanged = urlsplit(license)._replace(netloc=f"{urlsplit(usage).netloc.rpartition('@')[0]}@{_at(license)}")
    with engine_of(Settings(home=tmp_path / "home", clickhouse_url=urlunsplit(exchanged))) as engine:
        if _at(usage) != _at(license):
            with pytest.raises(EngineError):
                engine.query("SELECT 1")


def _at(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def test_readers_read_both_servers(urls: tuple[str, str], tmp_path: Path) -> None:
    """`PHAROS_CLICKHOUSE_READERS` has a login for each server; no other one is needed to read."""
    usage, license = urls
    settings = Settings(
        home=tmp_path / "home", clickhouse_url=usage, license_clickhouse_url=license, clickhouse_cluster=CLUSTER
    )
    with engine_of(settings) as engine:
        migrate(engine)
        readers = Settings.from_environ(
            {
                "PHAROS_CLICKHOUSE_URL": urlunsplit(urlsplit(usage)._replace(netloc=_at(usage))),
                "PHAROS_LICENSE_CLICKHOUSE_URL": urlunsplit(urlsplit(license)._replace(netloc=_at(license))),
                "PHAROS_CLICKHOUSE_READERS": engine.readers_passwords(),
            }
        )
    with engine_of(replace(readers, home=tmp_path / "home")) as engine:
        assert engine.query("SELECT count() FROM installs_by_month") == [(0,)]
        reader = engine.as_user(ServerUser.LICENSING)
        assert reader.query("SELECT count() FROM license_states") == [(0,)]
        for refused in (engine.of("usage_beacons"), engine.of("license_states")):
            with pytest.raises(EngineError):
                refused.query("SELECT sha256 FROM migrations")


def test_a_database_of_other_planes_is_refused(urls: tuple[str, str], tmp_path: Path) -> None:
    """Nothing is migrated when the settings do not fit the tables that are there."""
    usage, license = urls
    both = Settings(
        home=tmp_path / "home", clickhouse_url=usage, license_clickhouse_url=license, clickhouse_cluster=CLUSTER
    )
    with engine_of(both) as engine:
        assert migrate(engine)
        assert migrate(engine) == []
    one = replace(both, clickhouse_url=administrator(clickhouse_url("server"), "usage"), license_clickhouse_url="")
    with engine_of(one) as engine:
        migrate(engine)
    for settings, refusal in (
        (replace(both, license_clickhouse_url=""), "made without the license plane"),
        (replace(both, clickhouse_url=license, license_clickhouse_url=usage), "made without the usage plane"),
        (replace(one, license_clickhouse_url=license), "already holds the license plane"),
        (replace(both, license_clickhouse_url=one.clickhouse_url), "already holds the usage plane"),
    ):
        with engine_of(settings) as engine, pytest.raises(MigrationError, match=refusal):
            migrate(engine)


def test_owners_are_served_on_both_servers(system: System) -> None:
    """Access, rectify, restrict, lift and erase reach the rows of both servers."""
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    system.post([*days_of(mine, MODULE), *days_of(other, MODULE)])
    assert figures(system, MODULE) == (2, 6, 2)
    held = request(system, mine, "access")
    assert len(held["usage"]["usage_beacons"]) == len(held["license"]["license_states"]) == 3
    request(system, mine, "rectify", rectify={"platform": {"php": "8.4.2"}, "license": {"status": "trial"}})
    held = request(system, mine, "access")
    assert {row["php"] for row in held["usage"]["usage_beacons"]} == {"8.4.2"}
    assert [row["status"] for row in held["license"]["owner_statements"]] == ["trial"]
    request(system, mine, "restrict")
    assert figures(system, MODULE) == (1, 3, 1)
    held = request(system, mine, "access")
    assert held["license"]["license_states"] == held["usage"]["usage_beacons"] == []
    assert len(held["sealed"]) == 6
    request(system, mine, "lift")
    assert figures(system, MODULE) == (2, 6, 2)
    request(system, mine, "erase")
    assert figures(system, MODULE) == (1, 3, 1)
    held = request(system, mine, "access")
    assert not any(rows for plane in ("usage", "license") for rows in held[plane].values())
    assert system.stop() == 0
    assert system.run("recount").returncode == 0


@pytest.mark.parametrize("away", ["usage", "license"])
def test_a_server_that_is_away_loses_nothing(urls: tuple[str, str], tmp_path: Path, away: str) -> None:
    """Beacons are accepted while a server refuses, fails or loses answers; each of them counts once on both."""
    proxies, ways = zip(*map(through, urls), strict=True)
    proxy: Proxy = proxies[away == "license"]
    with running_at(ways[0], tmp_path / "home", **of_license(ways[1])) as system:
        posted = _post(system)
        system.drain()
        for mode in ("refused", "error", "lost"):
            proxy.become(mode)
            posted += _post(system)
            wait_for(lambda: "loading" in readiness(system), f"the trouble ({mode}) to be told", 120)
            if mode == "refused":
                _check_what_goes_on(system, away)
            proxy.become("pass")
            system.drain()
            wait_for(lambda: "loading" not in readiness(system), "the trouble to be over", 120)
        assert system.run("quarantine", "list").stdout == b""
        found = verdict(system, ledger(planes_of(system), posted))
        assert found.good, str(found)
    for each in proxies:
        each.close()


def _post(system: System) -> list[dict[str, Any]]:
    sent = [beacon() for _ in range(30)]
    assert system.post(sent)[1]["accepted"] == 30
    return sent


def _check_what_goes_on(system: System, away: str) -> None:
    """With one server away, the questions of the other plane are still answered."""

    def statuses() -> tuple[int, int]:
        return system.read("/api/v1/metrics/installs")[0], system.read("/api/v1/licensing/installs")[0]

    expected = (200, 503) if away == "license" else (503, 200)
    wait_for(lambda: statuses() == expected, "the pages of one plane alone")  # answers are kept for two seconds
    told = system.run("doctor").stdout.decode()
    assert f"server of the {'usage' if away == 'license' else 'license'} plane, ClickHouse" in told
    assert "FAIL engine" in told
    if away == "license":
        assert "FAIL engine       license plane: " in told
        assert readiness(system)["loading"]["why"].startswith("license plane: ")
        assert system.answers(system.dashboard, "/readyz")


def test_a_backup_has_both_planes(system: System, second: str, tmp_path: Path) -> None:
    """A restore moves both planes from two servers to one, and from one server to two."""
    sent = [beacon() for _ in range(9)]
    system.post(sent)
    system.drain()
    reports = system.read("/api/v1/licensing/installs")[1]["rows"]
    assert system.stop() == 0
    for name, license in (("one", ""), ("two", administrator(second, "license"))):
        backup = tmp_path / f"backup for {name}"
        made = system.run("backup", "--with-secret", str(backup))
        assert made.returncode == 0, made.stderr
        url = administrator(clickhouse_url("server"), "usage")
        system = System(tmp_path / name, url, **of_license(license))
        restored = system.run("restore", str(backup))
        assert restored.returncode == 0, restored.stderr
        assert b"beacons=9 installs=9" in restored.stdout
        system.start()
        try:
            assert system.read("/api/v1/licensing/installs")[1]["rows"] == reports
            found = verdict(system, ledger(planes_of(system), sent))
            assert found.good, str(found)
        finally:
            if system.process is not None and system.process.poll() is None:
                system.stop()
