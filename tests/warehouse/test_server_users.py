"""The users of a ClickHouse server: each is refused what belongs to the others."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from collector.loader import Loader, good_row
from collector.spool import Spool
from core.home import STATES, Home, derive
from core.settings import Settings
from pharos import doctor
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import clickhouse_url, running
from tests.pharos_cli.command import pharos
from tests.warehouse.engines import SECRET, engine_at
from tests.warehouse.test_engine import rows
from warehouse import install_data
from warehouse.connections import Connections
from warehouse.engine import Engine, EngineError
from warehouse.identifiers import quoted
from warehouse.licensing.state_codec import Unreadable
from warehouse.migrate import migrate
from warehouse.queries import health, license_flags, licensing, metrics
from warehouse.server_users import GRANTS, Server, ServerUser

AGGREGATES = ("installs_by_month", "features_by_month", "installs")
USAGE = ("usage_beacons", *AGGREGATES)
LICENSE = (
    "license_sightings", "license_sources_by_month", "license_states", "sightings_by_install", "license_keys",
    "license_cases",
    "owner_statements", "license_registry", "license_flags", "license_incidents",
    "license_beacons_per_hour", "license_states_key",
)  # fmt: skip
RIGHTS = (
    "install_states", "rights_requests", "sealed_beacons", "sealed_months", "retired_usage_installs",
    "retired_license_installs",
)  # fmt: skip
ACCESS_DENIED, READONLY = 497, 164
VIEWS = {
    "usage": tuple(f"{table}_from_beacons" for table in AGGREGATES),
    "license": (
        "license_sources_by_month_from_sightings",
        "sightings_by_install_from_sightings",
        "license_keys_from_sightings",
        "license_beacons_per_hour_from_sightings",
    ),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A migrated database with ten beacons, for the tests of this file. Those that count its rows stand first."""
    folder = tmp_path_factory.mktemp("shared")
    engine = engine_at(clickhouse_url("server"), folder)
    migrate(engine)
    spool = Spool(folder / "spool")
    spool.store(rows([beacon() for _ in range(10)]), 1e9)
    Loader(spool, engine).step()
    yield engine
    engine.close()


def refused(engine: Engine, account: ServerUser, statement: str) -> bool:
    """Return whether the server denies a statement for lack of privileges."""
    try:
        engine.as_user(account).command(statement)
    except EngineError as error:
        if getattr(error.__cause__, "code", None) not in (ACCESS_DENIED, READONLY):
            raise
        return True
    return False


@pytest.mark.server
def test_the_readers_logins_are_enough_for_a_dashboard(engine: Engine, tmp_path: Path) -> None:
    """The readers' logins suffice for every page and can change nothing."""
    url = engine._connections._url
    without_login = urlunsplit(url._replace(netloc=f"{url.hostname}:{url.port}"))
    passwords = engine.readers_passwords()
    settings = Settings(
        clickhouse_url=without_login,
        clickhouse_cluster=engine.cluster,
        clickhouse_readers=passwords,
        states_key=derive(SECRET.encode(), STATES).hex(),
    )
    reader = Engine(settings, Home(tmp_path / "dashboard"))
    try:
        assert reader.version() == engine.version()
        query = metrics.parse("installs", {"grain": "period"}, datetime.now(UTC).date())
        assert metrics.answer(reader, query, 5)["rows"][0]["value"] == 10
        assert len(licensing.installs(reader, {})["rows"]) == 10
        assert doctor._states(reader, Home(tmp_path / "dashboard")).ok
        assert len(health.loaders(reader)) <= 1
        assert health.beacons_per_hour(reader, datetime.now(UTC))[0] is not None
        assert install_data.requests(reader) == []
        for account in (ServerUser.PRODUCT, ServerUser.LICENSING):
            assert refused(reader, account, "ALTER TABLE usage_beacons DELETE WHERE 1")
        with pytest.raises(EngineError):
            reader.query("SELECT count() FROM license_states")
        with pytest.raises(EngineError, match="may not make users"):
            reader.create_users()
    finally:
        reader.close()


@pytest.mark.server
def test_without_the_key_of_states_a_dashboard_says_which(engine: Engine, tmp_path: Path) -> None:
    """A dashboard with a home of its own needs one setting more. Without it the list fails, and doctor says why."""
    home = Home(tmp_path / "dashboard")
    settings = Settings(clickhouse_url=urlunsplit(engine._connections._url), clickhouse_cluster=engine.cluster)
    alone = Engine(settings, home)
    try:
        for said in (r"states\.key is missing", "sealed under another key"):
            with pytest.raises(Unreadable, match=f"{said}.*PHAROS_STATES_KEY"):
                licensing.installs(alone, {})
            check = doctor._states(alone, home)
            assert not check.ok
            assert "PHAROS_STATES_KEY" in check.message
            home.root_secret(settings)  # made by the dashboard, for its sessions
        assert licensing.any_install(alone)
    finally:
        alone.close()


def test_no_table_is_open_to_the_readers_of_both_planes() -> None:
    """No table with data is open to both readers, so that no query can join the planes."""
    tables = {account: {table for _, table, _ in grants} for account, grants in GRANTS.items()}
    assert tables[ServerUser.PRODUCT] & tables[ServerUser.LICENSING] == set()
    assert tables[ServerUser.PRODUCT] == {
        *AGGREGATES,
        "development_beacons",
        "freshness_by_loader",
        "migrations",
        "rejections",
        "rights_requests",
    }
    assert tables[ServerUser.LICENSING] <= set(LICENSE)
    readable = {table for what, table, columns in GRANTS[ServerUser.LOADER] if what == "SELECT" and not columns}
    assert readable == set()


def test_passwords_follow_from_the_url_s_and_from_nothing_that_is_public() -> None:
    """Each user and database has its own password. Without a password in the URL the users work on loopback only."""
    logins = {
        Server(database, "", password, loopback=False).login(account)
        for database in ("one", "two")
        for password in ("a", "b")
        for account in ServerUser
    }
    assert len({password for _, password in logins}) == len(logins) == 16
    assert Server("one", "", "", loopback=False).obstacle
    local, guarded = (Server("one", "", password, loopback=True).make(ServerUser.PRODUCT) for password in ("", "a"))
    assert all("HOST LOCAL" in statement for statement in local[:2])
    assert all("HOST ANY" in statement for statement in guarded[:2])


@pytest.mark.server
@pytest.mark.parametrize("account", list(ServerUser))
def test_each_user_is_the_one_that_asks(engine: Engine, account: ServerUser) -> None:
    """Each view of the engine connects as its user."""
    assert engine.as_user(account).query("SELECT currentUser()") == [(f"pharos_{engine.database}_{account}",)]
    assert engine.query("SELECT currentUser()") != engine.as_user(account).query("SELECT currentUser()")


@pytest.mark.server
def test_product_reads_aggregates_of_the_usage_plane_and_nothing_else(engine: Engine) -> None:
    """Product reads no license table, no raw row and no view, and changes nothing."""
    product = engine.as_user(ServerUser.PRODUCT)
    assert product.query("SELECT uniqExact(install) FROM installs_by_month") == [(10,)]
    rights = set(RIGHTS) - {"rights_requests"}
    closed = ["usage_beacons", *LICENSE, *sorted(rights), *VIEWS["usage"], *VIEWS["license"], "migrations"]
    for table in [*closed, *(f"{table}_local" for table in closed if engine.cluster and table not in _views())]:
        assert refused(engine, ServerUser.PRODUCT, f"SELECT * FROM {table} FORMAT Null"), table
    for around in (
        f"SELECT * FROM merge('{engine.database}', 'states') FORMAT Null",
        f"SELECT * FROM remote('127.0.0.1', '{engine.database}', 'license_states') FORMAT Null",
        "SELECT * FROM url('http://127.0.0.1/', 'LineAsString') FORMAT Null",
        "SELECT * FROM system.parts FORMAT Null",
        "INSERT INTO installs_by_month (module) VALUES ('x')",
        "CREATE TABLE copy ENGINE = Memory AS SELECT 1",
        "CREATE USER nobody",
    ):
        assert refused(engine, ServerUser.PRODUCT, around), around
    seen = {name for (name,) in product.query("SELECT name FROM system.tables WHERE database = currentDatabase()")}
    assert seen >= set(AGGREGATES)
    assert {name.removesuffix("_local") for name in seen}.isdisjoint({*LICENSE, *VIEWS["license"], "usage_beacons"})


def _views() -> set[str]:
    return {view for views in VIEWS.values() for view in views}


@pytest.mark.server
def test_licensing_reads_the_license_plane_and_nothing_else(engine: Engine) -> None:
    """Licensing does not read usage aggregates. Metrics are always queried as product."""
    assert engine.as_user(ServerUser.LICENSING).query("SELECT uniqExact(install) FROM license_states") == [(10,)]
    for table in [*USAGE, *RIGHTS, *VIEWS["usage"], *VIEWS["license"], "license_sightings", "sightings_by_install"]:
        assert refused(engine, ServerUser.LICENSING, f"SELECT * FROM {table} FORMAT Null"), table
    assert refused(engine, ServerUser.LICENSING, "INSERT INTO license_states (module) VALUES ('x')")
    assert refused(engine, ServerUser.LICENSING, "ALTER TABLE license_states DELETE WHERE 1")


@pytest.mark.server
def test_the_loader_inserts_and_reads_no_row_of_the_license_plane(engine: Engine) -> None:
    """The loader reads only the columns that identify beacons. Its inserts still fill the aggregates."""
    assert engine.query("SELECT uniqExact(install) FROM license_states") == [(10,)]
    assert engine.query("SELECT uniqExact(install) FROM license_sources_by_month") == [(10,)]
    assert engine.as_user(ServerUser.LOADER).query("SELECT count(beacon) FROM usage_beacons") == [(10,)]
    for table in [*LICENSE, *AGGREGATES, *RIGHTS, *VIEWS["usage"], *VIEWS["license"]]:
        assert refused(engine, ServerUser.LOADER, f"SELECT * FROM {table} FORMAT Null"), table
    for statement in (
        "SELECT install, features FROM usage_beacons FORMAT Null",
        "SELECT sealed FROM license_states FORMAT Null",
        "ALTER TABLE usage_beacons DELETE WHERE 1",
        "DROP TABLE usage_beacons",
    ):
        assert refused(engine, ServerUser.LOADER, statement), statement


@pytest.mark.server
def test_the_loader_reads_no_table_through_another(engine: Engine) -> None:
    """Table functions such as `loop` could read any table, and the loader may not use them."""
    for table in ("license_states", *USAGE):
        for source in (
            f"loop({quoted(engine.database)}, {table})",
            f"merge('{engine.database}', '^{table}$')",
            f"remote('127.0.0.1', '{engine.database}', '{table}')",
            f"view(SELECT * FROM {table})",
        ):
            assert refused(engine, ServerUser.LOADER, f"SELECT * FROM {source} LIMIT 1 FORMAT Null"), source
    for statement in (
        "CREATE TEMPORARY TABLE copy (a UInt8)",
        f"CREATE TABLE {quoted(engine.database)}.copy ENGINE = Memory AS SELECT 1",
        "INSERT INTO FUNCTION null('a UInt8') VALUES (1)",
    ):
        assert refused(engine, ServerUser.LOADER, statement), statement
    assert engine.reads("usage_beacons", good_row("usage"))
    assert not engine.reads("usage_beacons", b'{"day":"no day"}')


@pytest.mark.server
def test_a_profile_that_is_read_only_stops_no_loader(engine: Engine, tmp_path: Path) -> None:
    """The loader works on a server whose default profile is read-only."""
    cluster, profile = engine.on_cluster, f"read_only_{engine.database}"
    loader = quoted(ServerUser.LOADER.user(engine.database))
    engine.command(f"CREATE SETTINGS PROFILE {profile}{cluster} SETTINGS readonly = 1 TO {loader}")
    spool = Spool(tmp_path / "another")
    spool.store(rows([beacon() for _ in range(3)]), 1e9)
    Loader(spool, engine).step()
    engine.command(f"DROP SETTINGS PROFILE {profile}{cluster}")
    assert engine.query("SELECT count() FROM usage_beacons") == [(13,)]


@pytest.mark.server
def test_a_grant_that_is_no_longer_in_the_table_is_taken_back(engine: Engine) -> None:
    """The next migration revokes grants that are not in the table."""
    cluster = f" ON CLUSTER {engine.cluster}" if engine.cluster else ""
    for end in ("", "_local") if engine.cluster else ("",):
        product, loader = (account.user(engine.database) for account in (ServerUser.PRODUCT, ServerUser.LOADER))
        engine.command(f"GRANT{cluster} SELECT ON license_states{end} TO {product}")
        engine.command(f"GRANT{cluster} SELECT(features) ON usage_beacons{end} TO {loader}")
    assert not refused(engine, ServerUser.PRODUCT, "SELECT * FROM license_states FORMAT Null")
    migrate(engine)
    assert refused(engine, ServerUser.PRODUCT, "SELECT * FROM license_states FORMAT Null")
    assert refused(engine, ServerUser.LOADER, "SELECT features FROM usage_beacons FORMAT Null")


@pytest.mark.server
def test_users_that_are_there_are_only_asked_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration with existing users runs no statement that waits for a replica that is down."""
    commands: list[str] = []
    monkeypatch.setattr(Engine, "command", lambda self, sql, settings=None: commands.append(sql))
    assert migrate(engine) == []
    assert commands == []


@pytest.mark.server
def test_the_queries_choose_the_user_by_the_plane(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics are queried as product, licenses as licensing, and nothing as the administrator."""
    asked: list[ServerUser | None] = []
    client = Connections.client

    def noted(self: Connections, account: ServerUser | None = None, **how: Any) -> Any:
        asked.append(account)
        return client(self, account, **how)

    monkeypatch.setattr(Connections, "client", noted)
    today = datetime.now(UTC).date()
    for by in ("version", "license_source"):
        metrics.answer(engine, metrics.parse("installs", {"by": by}, today), 5)
    assert set(asked) == {ServerUser.PRODUCT, ServerUser.LICENSING}
    asked.clear()
    metrics.fresh_to(engine)
    metrics.days_with_beacons(engine, today, today)
    health.loaders(engine)
    assert set(asked) == {ServerUser.PRODUCT}
    asked.clear()
    health.beacons_per_hour(engine, datetime.now(UTC))
    licensing.installs(engine, {})
    license_flags.flags(engine, {})
    assert set(asked) == {ServerUser.LICENSING}


def administrator(engine: Engine, grants: str) -> str:
    """Return the URL of a new user with a password and these grants."""
    name, cluster = f"admin_{uuid.uuid4().hex[:8]}", f" ON CLUSTER {engine.cluster}" if engine.cluster else ""
    engine.command(f"CREATE USER {name}{cluster} IDENTIFIED BY 'a long password'")
    engine.command(f"GRANT{cluster} {grants} TO {name} WITH GRANT OPTION")
    url = urlsplit(clickhouse_url("server"))
    return urlunsplit(url._replace(netloc=f"{name}:a%20long%20password@{url.hostname}:{url.port}"))


DATABASE_ALONE = (
    "SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, OPTIMIZE, CLUSTER, REMOTE ON *.*"
)


@pytest.mark.server
def test_without_access_management_all_works_as_one_user_and_says_so(engine: Engine, tmp_path: Path) -> None:
    """Without access management all works as one user, and `one_user` says why."""
    url = administrator(engine, DATABASE_ALONE)
    poor = engine_at(url, tmp_path)
    migrate(poor)
    assert poor.one_user == "the user of PHAROS_CLICKHOUSE_URL may not create users"
    assert poor.as_user(ServerUser.PRODUCT).query("SELECT currentUser()") == poor.query("SELECT currentUser()")
    again = engine_at(url, tmp_path)
    assert again.as_user(ServerUser.LICENSING).query("SELECT count() FROM license_states") == [(0,)]
    assert again.one_user
    done = pharos(tmp_path / "home", "doctor", PHAROS_CLICKHOUSE_URL=url, PHAROS_CLICKHOUSE_CLUSTER=poor.cluster)
    assert "FAIL grants       all tables are read as the user admin_" in done.stdout
    poor.close()
    again.close()


@pytest.mark.server
def test_a_process_that_comes_before_the_migration_waits_for_it(engine: Engine, tmp_path: Path) -> None:
    """Without a database the engine raises `EngineError`. After the migration, or a changed password, it works."""
    url = clickhouse_url("server")
    early = engine_at(url, tmp_path)
    with pytest.raises(EngineError):
        metrics.fresh_to(early)
    migrate(engine_at(url, tmp_path))
    assert metrics.fresh_to(early) is None
    user = ServerUser.PRODUCT.user(early.database)
    cluster = f" ON CLUSTER {engine.cluster}" if engine.cluster else ""
    engine.command(f"ALTER USER {user}{cluster} IDENTIFIED BY 'another'")
    with pytest.raises(EngineError, match="AUTHENTICATION_FAILED"):
        metrics.fresh_to(early)
    assert metrics.fresh_to(early) is None
    early.close()


@pytest.mark.server
def test_the_running_system_is_asked_as_its_users(tmp_path: Path) -> None:
    """Revoking a privilege breaks only the part of the system that works as that user."""
    with running(tmp_path / "home", "server") as system:
        admin = engine_at(system.environ["PHAROS_CLICKHOUSE_URL"], tmp_path / "aside")
        cluster = f" ON CLUSTER {admin.cluster}" if admin.cluster else ""

        def take(what: str, table: str, account: ServerUser) -> None:
            for name in (table, f"{table}_local") if admin.cluster else (table,):
                admin.command(f"REVOKE{cluster} {what} ON {admin.database}.{name} FROM {account.user(admin.database)}")

        def metrics() -> int:
            return system.read("/api/v1/metrics/installs", grain="period")[0]

        def licenses() -> int:
            return system.read("/api/v1/licensing/installs", role="licensing")[0]

        assert system.post([beacon() for _ in range(6)])[0] == 202
        system.drain()
        assert (metrics(), licenses()) == (200, 200)
        take("SELECT", "installs_by_month", ServerUser.PRODUCT)
        assert (metrics(), licenses()) == (503, 200)
        take("SELECT", "license_states", ServerUser.LICENSING)
        assert (metrics(), licenses()) == (503, 503)
        take("INSERT", "license_states", ServerUser.LOADER)
        assert system.post(beacon())[0] == 202
        assert system.run("drain", "--timeout", "2").returncode == 1
        assert system.run("migrate").returncode == 0
        system.drain()
        assert (metrics(), licenses()) == (200, 200)
        admin.close()
