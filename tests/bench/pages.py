"""How long pages take in a browser, cold and after a filter change, with 10 million install-days.

    python -m tests.bench.pages [MILLIONS [PAGE ...]]

For each page: what a first visit with an empty cache transfers, when its figures and its charts are there; then a dozen
changes of the range, the module and a condition, each until the last answer has come for something that can be seen
without scrolling, at 1280 x 720, and until the last one of all. Two columns of the table of features count with the
rest: the trend and the first month. `CPU` is that of the dashboard's process, ClickHouse included, which other work on
the machine changes little. With CLICKHOUSE_URL on a server, whose CPU time it cannot see, else on the embedded engine.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from core.home import Home
from core.settings import Settings
from tests.bench.figures import fill_at_once
from tests.end_to_end.system import AVAILABLE, PASSWORD, System, clickhouse_url
from tests.end_to_end.test_browser import ARGUMENTS, CHROMIUM, logged_in
from warehouse.engine import Engine
from warehouse.migrate import migrate

# Of the table of results, with their widths.
COLUMNS = {
    "": 12, "kB": 8, "figures": 9, "all, ms": 9, "p50, ms": 22, "most": 10, "p50": 10, "most ": 10, "CPU ms": 10,
}  # fmt: skip
MILLIONS = 10
CHANGES = 12
REST_SECONDS = 3.0
# The addresses: what is always there, and an element that has text once the figures are there.
PAGES = {
    "today": ("/", "", "#active_installs-value"),
    "features": ("/features", "", "#features-note"),
    "feature": ("/feature", "name=feature.7&module=invoice_pro", "#feature-figures"),
    "versions": ("/versions", "module=invoice_pro", "#versions-in-use-body"),
    "platforms": ("/platforms", "", "#platforms-php_series-body"),
    "drop": ("/drop", "php_series.lt=8.1&module=invoice_pro", "#drop-hurt-body"),
    "data": ("/data", "", "#data-figures"),
}
# What a product manager looks through: ranges, modules, conditions. Each differs from the one before.
FILTERS = (
    "", "range=7d", "range=90d", "module=bulk_mailer", "module=bulk_mailer&range=7d", "os=debian", "os=debian&range=7d",
    "country=DE", "module=tax_desk&country=DE", "php_series.ge=8.1", "module=chat_box", "license_status=licensed",
)  # fmt: skip
# Counts the callbacks that are under way; `settled` is resolved some frames after the last answer. `seen` is when the
# last answer came for something that is in view.
WATCH = """
(() => {
  const plain = window.fetch;
  let waiting = 0, last = 0, seen = 0;
  const inView = ({ id }) => {
    const box = typeof id === "string" && document.getElementById(id)?.getBoundingClientRect();
    return box && box.height > 0 && box.top < window.innerHeight && box.bottom > 0;
  };
  window.fetch = async (...given) => {
    if (!String(given[0].url || given[0]).includes("_dash-update-component")) return plain(...given);
    waiting += 1;
    const visible = [JSON.parse(given[1].body).outputs].flat().some(inView);
    try {
      return await plain(...given);
    } finally {
      waiting -= 1;
      last = performance.now();
      if (visible) seen = last;
    }
  };
  const frame = () => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
  window.appeared = async (selector) => {
    while (!document.querySelector(selector)?.textContent) {
      if (performance.now() > 60000) throw new Error(`no text in ${selector}`);
      await frame();
    }
    return performance.now();
  };
  window.settled = async (begun) => {
    for (let quiet = 0, at = 0; quiet < 12;) {
      await frame();
      quiet = waiting || last !== at || last < begun ? 0 : quiet + 1;
      at = last;
    }
    return last - begun;
  };
  window.changed = async (search) => {
    const begun = performance.now();
    window.history.replaceState(window.history.state, "", window.location.pathname + search);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    const all = await window.settled(begun);
    return [seen - begun, all];
  };
})();
"""


def main() -> None:
    """Fill a database, open each page in a browser, and print a table."""
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else MILLIONS
    with tempfile.TemporaryDirectory() as folder:
        home = Path(os.environ.get("BENCH_HOME") or Path(folder) / "home")
        url = clickhouse_url(AVAILABLE[-1])
        if not home.exists():
            _fill(home, url, millions)
        system = System(home, url)
        system.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                _rest(system)
                _measure(system, browser, millions, sys.argv[2:] or list(PAGES))
        finally:
            system.stop()


def _fill(home: Path, url: str, millions: int) -> None:
    settings = Settings(home=home, clickhouse_url=url)
    Home(home).root_secret(settings)
    engine = Engine(settings, Home(home))
    try:
        migrate(engine)
        fill_at_once(engine, millions * 1_000_000)
    finally:
        engine.close()


@dataclass
class Cold:
    """A visit with an empty cache: kB over the wire, and ms until there are figures, and until all is drawn."""

    bytes: int = 0
    figures: float = 0
    drawn: float = 0


@dataclass
class Changes:
    """The ms of each change until all that is in view is there, and until all is; and the seconds of CPU of all."""

    seen: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    cpu: float = 0

    def __str__(self) -> str:
        times = [statistics.median(self.seen), max(self.seen), statistics.median(self.took), max(self.took)]
        widths = list(COLUMNS.values())[-5:]
        every = [*times, self.cpu / len(self.took) * 1000]
        return "".join(f"{time:{width}.0f}" for time, width in zip(every, widths, strict=True))


def p95(times: list[float]) -> float:
    """The ms that one change in twenty takes, or more. Of many."""
    return sorted(times)[int(len(times) * 0.95)]


def _measure(system: System, browser: Browser, millions: int, names: list[str]) -> None:
    # By a page without figures: another one would still be loading beside the first that is measured.
    page = logged_in(browser, system, "admin", PASSWORD, "/glossary")
    page.wait_for_load_state("networkidle")
    context = page.context
    page.close()
    context.add_init_script(WATCH)
    print(f"\n{millions} million install-days; load {os.getloadavg()[0]:.1f}")
    print(f"{'':12}{'first visit':>26}{'a change of filters: in view':>32}{'all of it':>20}")
    print("".join(f"{name:>{width}}" for name, width in COLUMNS.items()))
    # The dashboard packs its scripts for the first visitor after its start.
    first = _cold(context, system, "/glossary", "", "h1")
    visits, filtered = [], []
    for name in names:
        cold, changes = _cold(context, system, *PAGES[name]), _changed(context, system, name)
        print(f"{name:12}{cold.bytes / 1000:8,.0f}{cold.figures:9.0f}{cold.drawn:9.0f}{changes}", flush=True)
        visits.append(cold)
        filtered.append(changes)
    print(f"the first visit after a start, to a page without figures: {first.drawn:,.0f} ms")
    print(f"most of a first visit: {max(each.bytes for each in visits) / 1000:,.0f} kB")
    print(f"longest until figures: {max(each.figures for each in visits):,.0f} ms")
    seen = [time for each in filtered for time in each.seen]
    took = [time for each in filtered for time in each.took]
    print(f"p95 of {len(seen)} changes, in view: {p95(seen):,.0f} ms")
    print(f"p95 of {len(took)} changes, all of it: {p95(took):,.0f} ms")


def _cold(context: BrowserContext, system: System, path: str, search: str, figures: str) -> Cold:
    page, found = context.new_page(), Cold()
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.clearBrowserCache")

    def finished(event: dict[str, Any]) -> None:
        found.bytes += int(event["encodedDataLength"])

    devtools.on("Network.loadingFinished", finished)
    page.goto(f"{system.dashboard}{path}?{search}", wait_until="commit")
    found.figures = float(page.evaluate("selector => appeared(selector)", figures))
    found.drawn = float(page.evaluate("settled(0)"))
    page.close()
    return found


def _changed(context: BrowserContext, system: System, name: str) -> Changes:
    path, search, _ = PAGES[name]
    page, found = context.new_page(), Changes()
    page.goto(f"{system.dashboard}{path}?{search}")
    page.evaluate("settled(0)")
    began = _cpu(system)
    for each in islice(_searches(search), CHANGES):
        seen, took = page.evaluate("search => changed(search)", each)
        found.seen.append(float(seen))
        found.took.append(float(took))
    found.cpu = _cpu(system) - began
    page.close()
    return found


def _searches(always: str) -> Iterator[str]:
    """The filters one after the other, each with what the page always has; a module of its own is not replaced."""
    module = "module=" in always
    chosen = [each for each in FILTERS if not (module and each.startswith("module="))]
    for number, each in enumerate(cycle(chosen[1:] + chosen[:1])):
        more = f"compare={('previous', 'year')[number // len(chosen) % 2]}"  # no search comes twice within a minute
        yield "?" + "&".join(filter(None, (always, each, more)))


def _rest(system: System) -> None:
    """Wait until nothing works: the first pass over all licenses begins with the start."""
    worked = float("inf")
    while worked > REST_SECONDS / 10:
        before = _cpu(system, "")
        time.sleep(REST_SECONDS)
        worked = _cpu(system, "") - before


def _cpu(system: System, part: str = " dashboard") -> float:
    """The seconds of CPU that the processes of the dashboard have taken, or of another part of Pharos."""
    ticks = 0
    for pid, line in system.processes().items():
        if f"pharos{part}" in line:
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
