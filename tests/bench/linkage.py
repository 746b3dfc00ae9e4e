"""How many installs one copy of both planes' tables exposes: what `pharos privacy linkage` finds in a synthetic fleet.

    python -m tests.bench.linkage [INSTALLS] [DAYS]...

The fleet is that of `pharos demo`, without countries. Its reports of all days but the last are loaded, the daily pass
merges them, and those of the last day are loaded after it, as in a copy that is taken at the end of a day.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from collector.batch_insert import insert_batch
from collector.judging import Judging
from collector.planes import Planes, encode
from collector.spool import Spool
from core.catalog import Catalog
from core.home import Home
from core.settings import Settings
from pharos.synthetic_fleet import Beacon, beacons
from warehouse import install_data
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.judge import Judge
from warehouse.migrate import migrate
from warehouse.queries import linkage

INSTALLS, SPANS, K = 5000, (1, 3, 14, 30), 5
BATCH = 5000
PLANES = Planes(b"root secret of the measurement")


def _batches(fleet: Sequence[Beacon]) -> Iterator[Sequence[Beacon]]:
    return (fleet[first : first + BATCH] for first in range(0, len(fleet), BATCH))


def load(engine: Engine, day: str, fleet: Sequence[Beacon]) -> None:
    """Load the beacons of a day, received on that day."""
    for number, batch in enumerate(_batches(fleet)):
        splits = [PLANES.split(one, "203.0.113.9", datetime.now(UTC), keep_date=True) for one in batch]
        for split in splits:
            split.usage["received"] = split.usage["day"]
        insert_batch(engine, "usage", f"usage {day} {number}", sorted(encode(split.usage) for split in splits))
        insert_batch(engine, "license", f"license {day} {number}", sorted(encode(split.license) for split in splits))


def merge(engine: Engine, folder: Path) -> None:
    """Let the daily pass write one row for each install."""
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d %H:00:00}"
    engine.command(f"ALTER TABLE {state_rows.TABLE} UPDATE written = '{yesterday}' WHERE 1", {"mutations_sync": 2})
    spool = Spool(folder / "spool.sqlite")
    judging = Judging(spool, engine, Judge(engine, Settings(), Catalog))
    while judging.step(()) or judging.passing:
        pass
    while install_data.deleting(engine):
        pass
    spool.close()


def measure(installs: int, days: int, folder: Path) -> list[linkage.Figure]:
    """Return what each attack finds in the last `days` days."""
    home, today = Home(folder), datetime.now(UTC).date()
    engine = Engine(Settings(home=folder), home)
    migrate(engine)
    fleet = sorted(beacons(4, installs, days, today), key=lambda one: str(one["sent_at"]))
    for day, of_day in groupby(fleet, key=lambda one: str(one["sent_at"])[:10]):
        if day == str(today):
            merge(engine, folder)
        load(engine, day, list(of_day))
    found = linkage.figures(linkage.read(engine, today - timedelta(days=days - 1)), K)
    engine.close()
    return found


def main() -> None:
    """Measure one span, or each span of days in a process of its own: ClickHouse opens one folder in a process."""
    installs, *spans = (int(text) for text in sys.argv[1:] or (INSTALLS, *SPANS))
    if len(spans) > 1:
        for days in spans:
            subprocess.run([sys.executable, "-m", __spec__.name, str(installs), str(days)], check=True)
        return
    (days,) = spans
    with tempfile.TemporaryDirectory() as folder:
        for figure in measure(installs, days, Path(folder)):
            share = figure.exposed / figure.installs
            print(f"{days:>3} days  {figure.attack:<48} {share:>6.1%}  alone={figure.alone}", flush=True)


if __name__ == "__main__":
    main()
