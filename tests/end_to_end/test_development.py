"""A module's developer tries it with a development key, and sees each beacon on the page Data."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.axe import violations
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, PASSWORD, System, running
from tests.end_to_end.test_browser import browser, logged_in
from tests.end_to_end.test_php_client import run

__all__ = ["browser"]


@pytest.fixture(params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    with running(tmp_path / "home", request.param) as system:
        yield system


def test_a_developer_sees_the_beacons_of_the_php_client(system: System, browser: Browser, tmp_path: Path) -> None:
    """Within seconds and without a reload: what would be stored, and what was rejected. No figure counts them.

    Beacons of an ordinary key are never there: one beacon is one server.
    """
    page = logged_in(browser, system, "admin", PASSWORD, "/glossary")
    errors: list[str] = []
    page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
    page.goto(f"{system.dashboard}/data")
    empty = page.locator("#data-latest-message")
    expect(empty).to_contain_text("pharos keys new --development")
    key = system.run("keys", "new", "--development").stdout.decode().strip()
    expect(empty).to_contain_text("None was posted in the last 24 hours")
    assert system.post([beacon(module={"name": "somebody", "version": "1.0"}) for _ in range(3)])[1]["accepted"] == 3
    options = "'license' => ['status' => 'unlicensed', 'key' => 'SECRET-KEY'], 'platform' => ['whmcs' => '9.0.1'],"
    run(system, tmp_path, "echo json_encode($client->count('invoice.pdf_export', 2));", options, key)
    sent = run(system, tmp_path, "echo json_encode($client->tick());", options, key)
    assert (sent["status"], sent["accepted"]) == ("sent", 1), sent
    rows = page.locator("#data-latest-body tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("invoice_pro 3.2.1")
    expect(rows.first).to_contain_text("Accepted")
    expect(rows.first).to_contain_text("platform.whmcs 9.0.1")
    expect(rows.first).to_contain_text("features: invoice.pdf_export 2")
    expect(rows.first).to_contain_text("in the license plane alone: license.source, license.key_hash")
    wrong = beacon(module={"name": "Somebody's Module", "version": "1"})
    assert system.post(wrong, Authorization=f"Bearer {key}")[0] == 422
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Rejected: bad_format at module.name")
    assert "somebody" not in page.locator("#data-latest-card").inner_text().lower()
    assert violations(page) == []
    system.drain()
    page.reload()
    expect(page.locator("#data-rejected-message")).to_contain_text("Nothing was rejected")
    expect(rows).to_have_count(2)
    assert [row["value"] for row in system.rows("installs", grain="period", module="invoice_pro")] == [None]
    assert {row["module"] for row in system.read("/api/v1/licensing/installs")[1]["rows"]} == {"somebody"}
    assert errors == []
    page.context.close()
