"""What each step of the collector takes for a beacon, in one thread and in batches of 100: the profile of a batch.

The rest of what `tests.bench.ingestion` measures is HTTP and the hand-over between threads.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from collector.ingestion import Ingestion
from collector.planes import Planes
from collector.rights.install_states import InstallStates
from collector.spool import Group, Row, Spool
from collector.validate import decode, validate
from core.catalog import Catalog
from tests.bench.ingestion import PER_BATCH, fresh_bodies

BATCHES = 300
ADDRESS = "198.51.100.7"


def main() -> None:
    """Print the CPU time of each step in µs a beacon: the median of all batches."""
    bodies = fresh_bodies()
    batches = [b"[" + b",".join(islice(bodies, PER_BATCH)) + b"]" for _ in range(BATCHES)]
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool.sqlite")
        ingestion = Ingestion(Planes(b"root secret of the measurement"), InstallStates(spool.path), Catalog)
        taken: dict[str, list[float]] = {}
        for batch in batches:
            for step, seconds in _steps(batch, ingestion, spool):
                taken.setdefault(step, []).append(seconds / PER_BATCH * 1e6)
        spool.close()
    medians = {step: sorted(each)[BATCHES // 2] for step, each in taken.items()}
    print(f"{'':52}CPU µs a beacon")
    for step, median in medians.items():
        print(f"{step:52}{median:15.1f}")
    print(f"{'all steps':52}{sum(medians.values()):15.1f}")


def _steps(batch: bytes, ingestion: Ingestion, spool: Spool) -> list[tuple[str, float]]:
    taken: list[tuple[str, float]] = []

    def step(name: str, function: Callable[[], Any]) -> Any:
        before = time.process_time()
        result = function()
        taken.append((name, time.process_time() - before))
        return result

    now = datetime.now(UTC)
    values = step("decode the JSON", lambda: decode(batch))
    beacons = step("validate each field", lambda: [validate(value) for value in values])
    processed, basis = step(
        "catalog, decisions, pseudonyms, rows of both planes", lambda: ingestion.process(beacons, ADDRESS, now)
    )
    rows: list[Row] = [each.row for each in processed if each.row]
    assert len(rows) == PER_BATCH
    step(
        "one commit on disk (SQLite, fdatasync)",
        lambda: spool.store_groups([Group(rows, basis=basis)], now.timestamp()),
    )
    return taken


if __name__ == "__main__":
    main()
