"""The PHP client against the whole system: what `php` posts is in the figures."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.system import ENGINES, KEY, System, running

EXAMPLE = Path(__file__).parents[2] / "client_sdk" / "php" / "example.php"


@pytest.fixture(params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    with running(tmp_path / "home", request.param, PHAROS_K="1") as system:
        yield system


def heartbeat(system: System, state: Path, *options: str) -> Any:
    """Run the example program once; returns the client's result."""
    done = subprocess.run(
        ["php", str(EXAMPLE), f"--collector={system.collector}", f"--state={state}", *options],
        env={**system.environ, "PHAROS_INGEST_KEY": KEY},
        capture_output=True,
        timeout=30,
    )
    assert done.stderr == b""
    return json.loads(done.stdout)


def test_a_php_module_s_heartbeat_is_in_the_figures(system: System, tmp_path: Path) -> None:
    """The read API returns the module's counts and the server's properties."""
    state = tmp_path / "state.json"
    heartbeat(system, state, "--module=invoice_pro", "--count-only", "--feature=invoice.pdf_export=2")
    sent = heartbeat(
        system, state, "--module=invoice_pro", "--version=3.2.1", "--feature=bulk_email=1", "--whmcs=9.0.1",
        "--license-status=unlicensed", "--license-source=whmcs-addon-modules", "--license-key=SECRET-KEY",
    )  # fmt: skip
    assert sent["status"] == "sent", sent
    assert 12 * 3600 * 9 // 10 <= sent["next_in"] <= 36 * 3600  # the client takes nine tenths of what it is told
    again = heartbeat(system, state, "--module=invoice_pro")
    assert again["status"] == "not_due"
    system.drain()
    uses = {row["key"]: row["value"] for row in system.rows("feature_uses", grain="period")}
    assert uses == {"invoice.pdf_export": 2, "bulk_email": 1}
    php = subprocess.run(["php", "-r", "echo PHP_VERSION;"], capture_output=True, text=True, check=True).stdout
    assert [(row["key"], row["value"]) for row in system.rows("installs", by="php", grain="period")] == [(php, 1)]
    assert [row["key"] for row in system.rows("installs", by="arch", grain="period")] != []
    (row,) = system.read("/api/v1/licensing/installs")[1]["rows"]
    assert (row["module"], row["status"]) == ("invoice_pro", "unlicensed")
    assert row["key"] is not None
    assert [flag["rule"] for flag in row["flags"]] == ["reported_unlicensed"]
