"""Says how many installs report from the same address. Most of them do so only through a proxy."""

from typing import NamedTuple

from warehouse.engine import Engine

DAYS = 7
LEAST = 20


class Concentration(NamedTuple):
    """The installs of the last `DAYS` days, and how many of them the most common address has."""

    installs: int
    largest: int

    @property
    def suspicious(self) -> bool:
        """Whether most installs report from one address."""
        return self.installs >= LEAST and self.largest * 2 > self.installs


def concentration(engine: Engine) -> Concentration:
    """Return the concentration of the addresses. Raises `EngineError`."""
    ((installs, largest),) = engine.of("license_sightings").query(
        "SELECT sum(number), max(number) FROM (SELECT uniqExact(install) AS number FROM license_sightings "  # noqa: S608
        f"WHERE time >= now() - INTERVAL {DAYS} DAY AND ip != '' GROUP BY ip)"
    )
    return Concentration(installs, largest)
