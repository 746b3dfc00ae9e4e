"""Names of databases and clusters that must be quoted."""

import os
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from collector.loader import Loader
from collector.spool import Spool
from core.home import Home
from core.settings import Settings
from tests.end_to_end.beacons import beacon
from tests.warehouse.test_engine import rows
from warehouse import export, install_data, recount
from warehouse.engine import Engine
from warehouse.identifiers import on_cluster, quoted
from warehouse.migrate import migrate
from warehouse.queries import health, metrics
from warehouse.server_users import Server, ServerUser


def test_a_name_is_quoted_whatever_is_in_it() -> None:
    """No name can end its quotes."""
    assert quoted("pharos-eu.1") == "`pharos-eu.1`"
    assert quoted("a`b\\c") == r"`a\`b\\c`"
    assert (on_cluster("fleet-1"), on_cluster("")) == (" ON CLUSTER `fleet-1`", "")


def test_every_statement_about_users_quotes_its_names() -> None:
    """Every name is in backticks."""
    server = Server("pharos-eu", "fleet-1", "a password", loopback=True)
    for account in ServerUser:
        statements = [*server.make(account), *server.take_back(account, [("SELECT", "other-table", "a-column")])]
        for statement in [*statements, server.open_view("a-view")]:
            for name in ("pharos-eu", "fleet-1", f"pharos_pharos-eu_{account}", "other-table", "a-column", "a-view"):
                assert statement.count(name) == statement.count(f"`{name}`") + (
                    statement.count("pharos_pharos-eu") if name == "pharos-eu" else 0
                )


@pytest.mark.server
@pytest.mark.parametrize("form", ["pharos-{}", "{}.eu", "9{}"])
def test_a_database_of_any_accepted_name_works(form: str, tmp_path: Path) -> None:
    """Migration, users, loading, figures, erasure and export work."""
    name = form.format(uuid.uuid4().hex[:12])
    url = urlunsplit(urlsplit(os.environ["CLICKHOUSE_URL"])._replace(path=f"/{name}"))
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "")
    settings = Settings.from_environ(
        {
            "PHAROS_CLICKHOUSE_URL": url,
            "PHAROS_CLICKHOUSE_CLUSTER": cluster,
            "PHAROS_SECRET": "the root secret of the tests",
        }
    )
    engine = Engine(settings, Home(tmp_path / "home"))
    migrate(engine)
    assert engine.one_user == ""
    spool = Spool(tmp_path / "spool")
    spool.store(rows([beacon() for _ in range(6)]), 1e9)
    Loader(spool, engine).step()
    assert engine.as_user(ServerUser.PRODUCT).query("SELECT currentDatabase()") == [(name,)]
    assert metrics.fresh_to(engine)
    assert {table.name: table.rows for table in health.tables(engine)}["usage_beacons"] == 6
    ((install,),) = engine.query("SELECT min(install) FROM usage_beacons")
    install_data.erase(engine, {"usage": [install]})
    parts = export.EngineTables(engine).contents().parts
    assert sum(part.rows for part in parts if part.table == "usage_beacons") == 5
    assert recount.differences(engine) == []
    engine.command(f"DROP DATABASE {quoted(name)}{engine.on_cluster}")
    engine.close()
