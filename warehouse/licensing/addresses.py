"""Says how many installs report from the same address. Most of them do so only through a proxy."""

import time
from typing import NamedTuple

from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.states import times

DAYS = 7
LEAST = 20
# Installs that are unsealed: 0.2 s of work. Pseudonyms are random, so the first ones are a random sample.
MOST = 2000


class Concentration(NamedTuple):
    """The installs of the last `DAYS` days, and how many of them the most common address has.

    If there are more than `MOST` installs, both are those of a sample.
    """

    installs: int
    largest: int

    @property
    def suspicious(self) -> bool:
        """Whether most installs report from one address."""
        return self.installs >= LEAST and self.largest * 2 > self.installs


def concentration(engine: Engine) -> Concentration:
    """Return the concentration of the addresses. Raises `EngineError`."""
    engine, since = engine.of(state_rows.TABLE), time.time() - DAYS * 86_400
    pairs = engine.query(
        f"SELECT DISTINCT module::String, install FROM {state_rows.TABLE} "  # noqa: S608
        "ORDER BY install, module LIMIT {most:UInt32}",
        {"most": MOST},
    )
    found: dict[str, set[int]] = {}
    for (_, install), state in state_rows.read(engine, pairs).items():
        for (_, place), days in state.seen.items():
            if place.ip and any(last >= since for _, last in times(days)):
                found.setdefault(place.ip, set()).add(install)
    numbers = [len(installs) for installs in found.values()]
    return Concentration(sum(numbers), max(numbers, default=0))
