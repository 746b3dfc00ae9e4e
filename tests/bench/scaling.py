"""Machines, disks and network for fleets of any size, computed from what was measured: tables of docs/scaling.md.

python -m tests.bench.scaling
"""

import math
from dataclasses import dataclass

DAY = 86_400


@dataclass(frozen=True)
class Measured:
    """A figure that was measured, and where it is from."""

    value: float
    unit: str
    what: str
    source: str


MEASURED = {
    "request": Measured(
        1000, "µs of CPU", "one beacon in a request of its own, in the collector",
        "970 to 1,030 at 1,450 to 1,530 requests/s on two cores, before the route was answered below Flask",
    ),
    "load": Measured(
        30, "µs of CPU", "one beacon from the spool into ClickHouse and its aggregates",
        "two cores, batches of 100: 18,000 to 19,000 beacons/s without the loader, 14,000 to 15,000 with it",
    ),
    "aggregates": Measured(
        6.5, "bytes an install-day", "what lasts in both planes beside sealed reports", "docs/performance.md: 90 days"
    ),
    "usage": Measured(18.7, "bytes", "a row of the usage plane", "docs/decisions/009"),
    "report": Measured(300, "bytes", "a license report until the daily pass", "`tests.bench.row_bytes`"),
    "state": Measured(
        500, "bytes", "the sealed reports of an install, of a day or of 13 months", "`tests.bench.row_bytes`"
    ),
    "pass": Measured(280, "µs of CPU", "the daily pass for an install with 50 days", "docs/decisions/010"),
    "id": Measured(19, "bytes", "a duplicate id on disk", "docs/decisions/006"),
    "filter": Measured(3, "bytes", "a duplicate id in memory, shared by the workers", "docs/architecture.md"),
    "spool": Measured(896, "bytes", "a beacon that waits in the spool", "`tests.bench.row_bytes`"),
    "wire": Measured(3442, "bytes", "a beacon over TLS 1.3, both directions", "`tests.bench.row_bytes`"),
    "peak": Measured(
        4.2, "times the even rate", "the first hour after six hours without a collector", "`tests.bench.outages`"
    ),
}  # fmt: skip
# Kept for so many days: aggregates 25 months, rows of the usage plane, ids.
AGGREGATE_DAYS, USAGE_DAYS, ID_DAYS = 761, 35, 30
OUTAGE_HOURS = 6
# The most duplicate ids of one spool that `make bench` measures.
MOST_IDS = 100_000_000
FLEETS = [(10_000, 1), (10_000, 24), (1_000_000, 1), (1_000_000, 24), (100_000_000, 1), (100_000_000, 24)]


def needs(installs: int, beacons_a_day: int) -> dict[str, str]:
    """Return what a fleet needs, as the columns of the tables."""
    of = {name: each.value for name, each in MEASURED.items()}
    beacons = installs * beacons_a_day
    rate = beacons / DAY
    cores = rate * of["peak"] * of["request"] / 1e6
    return {
        "installs": f"{installs:,}",
        "beacons a day each": str(beacons_a_day),
        "beacons/s, even": _number(rate),
        "beacons/s, peak hour": _number(rate * of["peak"]),
        "collector cores, peak hour": _number(cores),
        "two-core collectors for it": str(math.ceil(cores / 2)),
        "collectors with at most 100 million ids": str(math.ceil(beacons * ID_DAYS / MOST_IDS)),
        "loader and ClickHouse cores, even": _number(rate * of["load"] / 1e6),
        "daily pass, CPU": _seconds(installs * of["pass"] / 1e6),
        "network, peak hour": f"{_number(rate * of['peak'] * of['wire'] * 8 / 1e6)} Mbit/s",
        "aggregates, 25 months": _bytes(installs * AGGREGATE_DAYS * of["aggregates"]),
        "usage rows, 35 days": _bytes(beacons * USAGE_DAYS * of["usage"]),
        "license reports, 13 months": _bytes(installs * of["state"] + beacons * of["report"]),
        "duplicate ids, all collectors": _bytes(beacons * ID_DAYS * of["id"]),
        "their filters, in memory": _bytes(beacons * ID_DAYS * of["filter"]),
        "spool after 6 h": _bytes(rate * OUTAGE_HOURS * 3600 * of["spool"]),
    }


LOADS = (
    "beacons/s, even", "beacons/s, peak hour", "collector cores, peak hour", "two-core collectors for it",
    "collectors with at most 100 million ids", "loader and ClickHouse cores, even", "daily pass, CPU",
    "network, peak hour",
)  # fmt: skip
DISKS = ("aggregates, 25 months", "usage rows, 35 days", "license reports, 13 months", "duplicate ids, all collectors",
         "their filters, in memory", "spool after 6 h")  # fmt: skip


def tables() -> str:
    """Return the tables of docs/scaling.md: the inputs, the loads and the disks."""
    inputs = [[f"{each.value:g} {each.unit}", each.what, each.source] for each in MEASURED.values()]
    rows = [needs(*fleet) for fleet in FLEETS]
    who = ("installs", "beacons a day each")
    return "\n".join(
        [
            _table(["measured", "of what", "source"], inputs),
            *(
                _table([*who, *part], [[row[name] for name in (*who, *part)] for row in rows])
                for part in (LOADS, DISKS)
            ),
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("|" + "|".join(cell if cell == "---" else f" {cell} " for cell in line) + "|\n" for line in lines)


def _number(value: float) -> str:
    if value >= 100:
        return f"{round(value, 1 - math.floor(math.log10(value))):,.0f}"
    return f"{value:.2g}" if value >= 0.01 else "< 0.01"


def _seconds(value: float) -> str:
    return f"{_number(value / 3600)} h" if value >= 3600 else f"{_number(value)} s"


def _bytes(value: float) -> str:
    power = min(4, max(1, int(math.log10(value) // 3)))
    return f"{_number(value / 1000**power)} {('KB', 'MB', 'GB', 'TB')[power - 1]}"


if __name__ == "__main__":
    print(tables())
