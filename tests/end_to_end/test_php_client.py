"""The PHP client against the whole system: what `php` posts is in the figures."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.system import ENGINES, KEY, System, running


@pytest.fixture(params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    with running(tmp_path / "home", request.param, PHAROS_K="1") as system:
        yield system


def run(system: System, folder: Path, code: str, options: str = "", key: str = KEY) -> Any:
    """Run code with the vendor's client, written by `pharos sdk`; return the JSON that it prints."""
    client = folder / "pharos.php"
    done = subprocess.run(
        [
            sys.executable, "-m", "pharos", "sdk", "--vendor", "Acme", "--collector", system.collector, "--key", key,
            "--out", str(client),
        ],
        env=system.environ,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    script = folder / "script.php"
    script.write_text(
        f"<?php require {str(client)!r}; $client = Acme\\Pharos\\Client::module('invoice_pro', [{options}"
        f" 'state' => {str(folder / 'state')!r}, 'consent' => 'full', 'version' => '3.2.1']); {code}"
    )
    done = subprocess.run(["php", str(script)], capture_output=True, timeout=30)
    assert done.stderr == b""
    return json.loads(done.stdout)


def test_a_php_module_s_beacon_is_in_the_figures(system: System, tmp_path: Path) -> None:
    """The read API returns the module's counts and the server's properties, and the collector explains the next one."""
    options = (
        "'license' => ['status' => 'unlicensed', 'key' => 'SECRET-KEY'], 'source' => 'whmcs-addon-modules',"
        "'platform' => ['whmcs' => '9.0.1', 'database' => 'mariadb-10.11'],"
    )
    counting = "echo json_encode($client->count('invoice.pdf_export', 2) && $client->count('bulk_email'));"
    assert run(system, tmp_path, counting, options) is True
    sent = run(system, tmp_path, "echo json_encode($client->tick());", options)
    assert (sent["status"], sent["accepted"]) == ("sent", 1), sent
    assert 12 * 3600 <= sent["next_in"] <= 36 * 3600
    assert run(system, tmp_path, "echo json_encode($client->tick());", options)["status"] == "not_due"
    explained = run(system, tmp_path, "echo json_encode($client->explain());", options)
    assert explained["answer"]["beacons"][0]["usage"]["module"] == "invoice_pro"
    system.drain()
    uses = {row["key"]: row["value"] for row in system.rows("feature_uses", grain="period")}
    assert uses == {"invoice.pdf_export": 2, "bulk_email": 1}
    php = subprocess.run(["php", "-r", "echo PHP_VERSION;"], capture_output=True, text=True, check=True).stdout
    assert [(row["key"], row["value"]) for row in system.rows("installs", by="php", grain="period")] == [(php, 1)]
    assert [row["key"] for row in system.rows("installs", by="arch", grain="period")] != []
    (row,) = system.read("/api/v1/licensing/installs")[1]["rows"]
    assert (row["module"], row["status"]) == ("invoice_pro", "unlicensed")
    assert row["key"] is not None
    assert row["flags"] == []  # one day without a license is no flag
