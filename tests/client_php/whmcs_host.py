"""A WHMCS of stubs of its documented functions, real PHP and a real MariaDB, with the sample addon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pharos import sdk
from tests.client_php.paper import KEY, LICENSE_KEY, LOUD, Collector

SAMPLE = Path(__file__).parents[2] / "client_sdk" / "whmcs" / "modules" / "addons" / "pharos_sample"
STUB = Path(__file__).with_name("whmcs.php")
SERVER = shutil.which("mariadbd") or ("/usr/sbin/mariadbd" if Path("/usr/sbin/mariadbd").exists() else None)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A MariaDB of its own on a socket; yields the socket."""
    if SERVER is None or "pdo_mysql" not in subprocess.run(["php", "-m"], capture_output=True, text=True).stdout:
        pytest.skip("mariadb-server-core and php-mysql are not installed")
    folder = tmp_path_factory.mktemp("mariadb")
    (folder / "data").mkdir()
    socket = folder / "s"
    command = [
        SERVER, "--no-defaults", "--skip-grant-tables", "--skip-networking", f"--datadir={folder / 'data'}",
        f"--socket={socket}", f"--pid-file={folder / 'pid'}", "--innodb-buffer-pool-size=16M", "--max-connections=200",
    ]  # fmt: skip
    if os.geteuid() == 0:
        command.append("--user=root")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while query(socket, "SELECT 1") != [["1"]]:
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.1)
        yield socket
    finally:
        server.terminate()
        server.wait(60)


def query(socket: Path, sql: str, schema: str = "") -> list[list[str | None]]:
    """The rows of an SQL statement, as text; an empty list while the server does not answer."""
    code = (
        "try { $p = new PDO($argv[1], 'root', ''); $s = $p->query($argv[2]); } catch (Throwable $e) { exit('[]'); }"
        "echo json_encode($s->columnCount() ? $s->fetchAll(PDO::FETCH_NUM) : []);"
    )
    dsn = f"mysql:unix_socket={socket};dbname={schema}"
    done = subprocess.run(["php", "-r", code, dsn, sql], capture_output=True, text=True)
    return [[None if value is None else str(value) for value in row] for row in json.loads(done.stdout or "[]")]


@dataclass
class Whmcs:
    """A WHMCS with the sample addon, as its guide installs it."""

    root: Path
    socket: Path
    schema: str
    shift: int = 0

    @property
    def addon(self) -> Path:
        return self.root / "modules" / "addons" / "pharos_sample"

    def sql(self, statement: str) -> list[list[str | None]]:
        return query(self.socket, statement, self.schema)

    def script(self, code: str, name: str = "request") -> Path:
        path = self.root / f"{name}.php"
        path.write_text(
            f"<?php\nrequire {str(STUB)!r};\n"
            f"require_once {str(self.addon / 'hooks.php')!r};\n"
            f"require_once {str(self.addon / 'pharos_sample.php')!r};\n"
            f"require_once {str(self.addon / 'lib' / 'pharos.php')!r};\n"
            "$loaded = array_values(Acme\\Pharos\\Copies::$loaded);\n$clock = end($loaded) . '\\Clock';\n"
            f"$clock::$shift = {self.shift};\n{code}\n"
        )
        return path

    def environ(self) -> dict[str, str]:
        dsn = f"mysql:unix_socket={self.socket};dbname={self.schema}"
        return {**os.environ, "TEST_DSN": dsn, "TEST_ROOT": str(self.root)}

    def run(self, code: str) -> Any:
        """What a request prints, which must be JSON alone."""
        done = subprocess.run(
            ["php", *LOUD, str(self.script(code))], capture_output=True, text=True, timeout=60, env=self.environ()
        )
        assert done.stderr == ""
        assert done.stdout, done
        return json.loads(done.stdout)

    def cron(self) -> list[str]:
        """Run the cron; return the module log."""
        log: list[str] = self.run("run_hook('AfterCronJob'); echo json_encode($module_log);")
        return log

    def page(self, **posted: str) -> str:
        """Open the module's page, by a button of it when something is posted."""
        show = "ob_start(); pharos_sample_output(['modulelink' => 'addonmodules.php', '_lang' => $lang]);"
        press = ""
        if posted:
            fields = ", ".join(f"{name!r} => {value!r}" for name, value in posted.items())
            press = (
                f"{show} preg_match('/pharos_token\" value=\"(\\w+)/', ob_get_clean(), $m);"
                "$_SERVER['REQUEST_METHOD'] = 'POST';"
                f"$_POST = ['token' => 'whmcs', 'pharos_token' => $m[1], {fields}];"
            )
        html: str = self.run(f"$lang = []; {press} {show} echo json_encode(ob_get_clean());")
        return html


@pytest.fixture
def whmcs(database: Path, collector: Collector, tmp_path: Path) -> Whmcs:
    schema = f"w{time.monotonic_ns()}"
    query(database, f"CREATE DATABASE {schema}")
    host = Whmcs(tmp_path, database, schema)
    shutil.copytree(SAMPLE, host.addon)
    (host.addon / "lib").mkdir()
    first, rest = sdk.php_pair("Acme", collector.url, KEY, "pharos-rest.php")
    (host.addon / "lib" / "pharos.php").write_text(first)
    (host.addon / "lib" / "pharos-rest.php").write_text(rest)
    host.sql("CREATE TABLE tblconfiguration (setting VARCHAR(64), value TEXT)")
    host.sql("CREATE TABLE tbladdonmodules (module VARCHAR(64), setting VARCHAR(64), value TEXT)")
    host.sql(
        "INSERT INTO tblconfiguration VALUES ('Version', '9.0.1-release.1'), ('SystemURL', 'https://billing.example.com/')"
    )
    host.sql(f"INSERT INTO tbladdonmodules VALUES ('pharos_sample', 'license_key', '{LICENSE_KEY}')")
    return host
