"""Screenshots of every page, light and dark at each width, and on paper: `make screenshots`."""

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from pharos.synthetic_fleet import NETWORKS, beacons
from pharos.synthetic_vendor import VENDOR, catalog, country
from tests.collector.mmdb import mmdb
from tests.end_to_end.screens import ADDRESSES, show, whole
from tests.end_to_end.system import PASSWORD, System, running
from tests.end_to_end.test_browser import ARGUMENTS, CHROMIUM, logged_in

WIDTHS = (390, 768, 1440, 2560)
PAPER = 1100  # the width of a page that is printed, in pixels
INSTALLS, DAYS = 600, 90


def country_database() -> bytes:
    """The countries of the demonstration, of the addresses that its installs claim in IPv4."""
    addresses = [f"{network}{number}" for network in NETWORKS if ":" not in network for number in range(1, 255)]
    return mmdb({f"{address}/32": {"country": {"iso_code": country(address)}} for address in addresses})


def fill(system: System) -> None:
    """Import the fleet of the demonstration up to yesterday."""
    today = datetime.now(UTC).date()
    (system.home / "catalog.toml").write_text(catalog(today))
    system.load(beacons(1, INSTALLS, DAYS, today - timedelta(days=1), world=VENDOR))


def shoot(page: Page, system: System, folder: Path) -> int:
    """Write `<page>-<scheme>-<width>.png` and `<page>-print.png`; return how many."""
    written = 0
    for name, path in ADDRESSES.items():
        page.emulate_media(color_scheme="light", media="screen")
        show(page, system.dashboard + path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for width in WIDTHS:
                whole(page, width)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", animations="disabled")
        page.emulate_media(color_scheme="light", media="print")
        whole(page, PAPER)
        page.screenshot(path=folder / f"{name}-print.png")
        written += 2 * len(WIDTHS) + 1
        print(name)
    return written


def main(folder: Path) -> None:
    """Start a system of its own, fill it, and look at all pages as an administrator."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        database = Path(home) / "countries.mmdb"
        database.write_bytes(country_database())
        with running(Path(home) / "home", "embedded", PHAROS_COUNTRY_DATABASE=str(database)) as system:
            fill(system)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            print(f"{shoot(logged_in(browser, system, 'admin', PASSWORD), system, folder)} screenshots in {folder}")
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
