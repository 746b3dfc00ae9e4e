"""What pages of installs cost, and the sealed states that benchmarks fill."""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.state_codec import LEAST
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import DAY, Days, Place, Report, State, both, trimmed
from warehouse.queries import license_flags, licensing

PORTION, TIMES = 5000, 7


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


def fill_states(engine: Engine, keys: Mapping[Pair, int], days: int, least: int = LEAST) -> None:
    """Insert the states of installs, each with the key that it reports, in rows of at least `least` bytes."""
    every = list(keys)
    for first in range(0, len(every), PORTION):
        states = {pair: state(pair[1], keys[pair], days) for pair in every[first : first + PORTION]}
        state_rows.insert(engine, states, secrets.token_hex(16), least)


def measure(name: str, ask: Callable[[], Any]) -> None:
    """Print how long an answer takes, and what it costs."""
    wall, cpu = [], []
    for _ in range(TIMES):
        began, worked = time.perf_counter(), time.process_time()
        ask()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - worked) * 1000)
    print(f"{name:40} {min(wall):8.0f} {min(cpu):8.0f}", flush=True)


def pages(engine: Engine) -> None:
    """Ask as the page and the read API do."""

    def page(requests: int = 1, **args: str) -> None:
        cursor: str | None = ""
        for _ in range(requests):
            if cursor is None:
                return
            cursor = licensing.installs(engine, {**args, "cursor": cursor}).get("next_cursor")

    print(f"{'wall and CPU, ms':40} {'wall':>8} {'CPU':>8}")
    measure("100 installs", page)
    measure("1000 installs", lambda: page(limit="1000"))
    measure("100 unlicensed", lambda: page(status="unlicensed"))
    measure("100 of a module, not licensed", lambda: page(module="module_7", status="!licensed"))
    measure("100 flagged", lambda: page(flag="any"))
    measure("1000 flagged", lambda: page(flag="any", limit="1000"))
    measure("100 suspended and flagged (none)", lambda: page(flag="unlicensed", status="suspended"))
    measure("the page Installs: ten requests", lambda: page(10, status="!licensed", limit="1000"))
    measure("100 flags", lambda: license_flags.flags(engine, {}))
    measure("100 flags of a severity", lambda: license_flags.flags(engine, {"severity": "warning"}))
