"""What a page of installs costs: `python -m tests.bench.installs [INSTALLS] [DAYS]` prints milliseconds.

It fills an embedded engine in a temporary folder with sealed states, as the daily pass leaves them: one row for each
install, which reported on each of the last days. 1% of the installs are unlicensed and flagged, as many are suspended
without a flag. It prints the least wall and CPU time of several answers.
"""

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.home import Home
from core.settings import Settings
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import DAY, Days, Place, Report, State, both, trimmed
from warehouse.migrate import migrate
from warehouse.queries import licensing

PORTION, TIMES = 5000, 5
_FLAGS = """
INSERT INTO license_flags SELECT module, install, 'unlicensed', 1, 'raised', now(), now(), 0, 'warning', 'recorded', 1,
    'evidence', '[]', 'the evidence holds' FROM (SELECT DISTINCT module, install FROM license_states)
WHERE install % 100 = 0
"""


def state(install: int, key: int, days: int) -> State:
    """Return the state of an install that reported on each of the last days, with two updates and one address.

    The address is left of 30 days, as the daily pass leaves it.
    """
    today, second = int(time.time()) // DAY, install % 3600
    status = {0: "unlicensed", 1: "suspended"}.get(install % 100, "licensed")
    place = Place(f"203.{install % 250}.1.9", "")
    seen: dict[tuple[Report, Place], Days] = {}
    for ago in range(days):
        report = Report(status, key, "whmcs-addon-modules", f"3.2.{ago * 3 // (days + 1)}", True, "DE")
        seen.setdefault((report, place), {})[today - ago] = both(second, second)
    state = State(seen, {status: (today - days + 1) * DAY + second})
    return trimmed(state, datetime.now(UTC))


def fill_states(engine: Engine, keys: Mapping[Pair, int], days: int) -> None:
    """Insert the states of installs, each with the key that it reports."""
    every = list(keys)
    for first in range(0, len(every), PORTION):
        pairs = every[first : first + PORTION]
        state_rows.insert(engine, {pair: state(pair[1], keys[pair], days) for pair in pairs}, secrets.token_hex(16))


def measure(name: str, ask: Callable[[], Any]) -> None:
    """Print how long an answer takes, and what it costs."""
    wall, cpu = [], []
    for _ in range(TIMES):
        began, worked = time.perf_counter(), time.process_time()
        ask()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - worked) * 1000)
    print(f"{name:40} {min(wall):8.0f} {min(cpu):8.0f}", flush=True)


def main(installs: int, days: int) -> None:
    """Fill, and ask as the page and the read API do."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        engine = Engine(Settings(home=home.path), home)
        migrate(engine)
        numbers = engine.query(
            "SELECT concat('module_', toString(number % 10)), cityHash64(number) FROM numbers({installs:UInt32})",
            {"installs": installs},
        )
        fill_states(engine, {(module, install): install for module, install in sorted(numbers)}, days)
        engine.command(_FLAGS)
        engine.command("OPTIMIZE TABLE license_states FINAL")
        print(f"{installs} installs with {days} days each; wall and CPU, ms")

        def page(requests: int = 1, **args: str) -> None:
            cursor: str | None = ""
            for _ in range(requests):
                if cursor is None:
                    return
                cursor = licensing.installs(engine, {**args, "cursor": cursor})["next_cursor"]

        measure("100 installs", page)
        measure("1000 installs", lambda: page(limit="1000"))
        measure("100 unlicensed", lambda: page(status="unlicensed"))
        measure("100 of a module, not licensed", lambda: page(module="module_7", status="!licensed"))
        measure("100 flagged", lambda: page(flag="any"))
        measure("1000 flagged", lambda: page(flag="any", limit="1000"))
        measure("100 suspended and flagged (none)", lambda: page(flag="any", status="suspended"))
        measure("the page Installs: ten requests", lambda: page(10, status="!licensed", limit="1000"))
        engine.close()


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(int(text) for text in (*given, *("200000", "50")[len(given) :])))
