"""The owner's page of the sample addon in a real browser, in the colors of WHMCS's admin area (Bootstrap 3)."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.client_php.paper import Collector
from tests.client_php.whmcs_host import Whmcs
from tests.end_to_end.axe import WIDTHS, violations
from tests.end_to_end.test_browser import browser

__all__ = ["browser"]
ADMIN = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Pharos Sample</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body{margin:0;padding:15px;font:14px/1.42 'Open Sans',Verdana,sans-serif;color:#333;background:#fff}
h1{font-size:26px;font-weight:400} h2{font-size:30px;font-weight:500} h3{font-size:24px;font-weight:500}
legend{display:block;width:100%;font-size:21px;color:#333;border-bottom:1px solid #e5e5e5}
.btn{padding:6px 12px;font:inherit;line-height:1.42;border:1px solid #ccc;border-radius:4px;
white-space:nowrap;background:#fff;color:#333}
.alert{padding:15px;margin-bottom:20px;border-radius:4px}.alert-info{color:#31708f;background:#d9edf7}
.alert-warning{color:#8a6d3b;background:#fcf8e3}a{color:#337ab7}.radio{margin:10px 0}
pre{display:block;padding:9.5px;font-size:13px;border-radius:4px;background:#f5f5f5;overflow:auto}
</style></head><body><main><h1>Pharos Sample</h1>PAGE</main></body></html>"""


def test_the_page_has_no_violation(whmcs: Whmcs, collector: Collector, browser: Browser, tmp_path: Path) -> None:
    """Before a choice, with a report and what is held, and as a copy: axe finds nothing, and nothing is too wide."""
    pages = {"unchosen": whmcs.page()}
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    collector.will_answer(202, '{"request": "t1", "status": "/v1/rights/t1"}')
    whmcs.page(pharos="access")
    collector.will_answer(200, '{"state": "done", "result": {"usage": [{"day": "2026-11-22"}]}}')
    pages["held"] = whmcs.page(pharos="progress")
    whmcs.sql("UPDATE tblconfiguration SET value = 'https://other.example.com' WHERE setting = 'SystemURL'")
    whmcs.cron()
    pages["moved"] = whmcs.page()
    words = {"unchosen": "You have not chosen yet", "held": "telemetry.json", "moved": "or is it a copy"}
    assert all(word in pages[name] for name, word in words.items())
    for name, html in pages.items():
        (tmp_path / f"{name}.html").write_text(ADMIN.replace("PAGE", html))
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.goto((tmp_path / f"{name}.html").as_uri())
            page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
            assert violations(page) == [], (name, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
            page.close()
