"""The public page in a real browser: no script, no cookie, no external request, no figure under k."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, fetch, running
from tests.end_to_end.test_browser import ARGUMENTS, BROWSER


@pytest.mark.parametrize("engine", ENGINES)
def test_the_world_sees_the_page_and_no_small_group(engine: str, tmp_path: Path) -> None:
    """A module with 3 installs is not on the page. Modules with 17 are."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    module = {"name": "mailer", "version": "2.0.0"}
    sent = [beacon(sent_at=yesterday) for _ in range(17)]
    sent += [beacon(sent_at=yesterday, install_id=one["install_id"], module=module) for one in sent[:9]]
    sent += [beacon(sent_at=yesterday, module={"name": "quiet_one", "version": "1"}) for _ in range(3)]
    with running(tmp_path / "home", engine, PHAROS_PUBLIC_PAGE="on", PHAROS_REGION="Frankfurt, Germany") as system:
        assert system.post(sent)[1]["accepted"] == len(sent)
        system.drain()
        active = fetch(f"{system.dashboard}/privacy.json")[1]["active"]
        assert active["installs"] == 20
        assert active["modules"] == [
            {"module": "invoice_pro", "installs": 15}, {"module": "other modules", "installs": 10},
        ]  # fmt: skip
        hosts: set[str] = set()
        errors: list[str] = []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
            for size in ({"width": 1440, "height": 900}, {"width": 390, "height": 800}):
                context = browser.new_context(java_script_enabled=False, viewport=size)  # type: ignore[arg-type]
                page = context.new_page()
                page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
                page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
                page.goto(f"{system.dashboard}/privacy")
                text = page.locator("main").inner_text()
                assert "Frankfurt, Germany" in text
                assert re.search(r"Active between .+: 20 installs\.", text)
                assert "quiet_one" not in page.content()
                assert page.locator("main").bounding_box()["width"] <= size["width"]  # type: ignore[index]
                assert context.cookies() == []
                context.close()
            browser.close()
        assert hosts == {"127.0.0.1"}
        assert errors == []
