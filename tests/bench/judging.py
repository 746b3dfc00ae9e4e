"""Judging at scale: `python -m tests.bench.judging [INSTALLS] [DAYS]` fills the license plane and prints seconds.

Prints wall and CPU seconds of a pass over all installs, of a batch of 500 installs, and of a page of the read API. The
sightings are made in ClickHouse: one a day for each install, 1% of the installs unlicensed, 5% with a shared key.
"""

import sys
import tempfile
import time
from pathlib import Path

from collector.sealed_reports import fill
from core.catalog import Catalog
from core.home import Home
from core.settings import Settings
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.judge import Judge
from warehouse.migrate import migrate
from warehouse.queries import license_flags, licensing

_FILL = """
INSERT INTO license_sightings (time, install, beacon, module, version, status, source, key, ip, ip_claim, country)
SELECT now() - INTERVAL {day} DAY - INTERVAL cityHash64(number, 1) % 3600 SECOND, cityHash64(number),
    cityHash64(number, {day}), concat('module_', toString(number % 10)), '3.2.1',
    if(number % 100 = 0, 'unlicensed', 'licensed'), 'whmcs', if(number % 20 = 1, cityHash64(intDiv(number, 100), 'key'),
    cityHash64(number, 'key')), concat(toString(number % 200 + 1), '.', toString(intDiv(number, 200) % 256), '.1.',
    toString(number % 250 + 1)), '', ''
FROM numbers({first}, {rows})
"""
ROWS = 50_000


def timed(name: str, began: tuple[float, float]) -> None:
    """Print wall and CPU seconds since `began`."""
    print(f"{name}: {time.monotonic() - began[0]:.1f} s, {time.process_time() - began[1]:.1f} s of CPU", flush=True)


def now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def main() -> None:
    """Fill, judge, and print."""
    installs, days = (int(text) for text in (*sys.argv[1:], "200000", "50")[:2])
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        engine = Engine(Settings(home=home.path), home)
        migrate(engine)
        began = now()
        for day in range(days):
            for first in range(0, installs, ROWS):
                engine.command(_FILL.format(day=day, first=first, rows=min(ROWS, installs - first)))
        timed(f"filled with {installs * days} sightings", began)
        began = now()
        fill(engine, lambda text: None)
        timed("sealed them", began)
        judge = Judge(engine, Settings(), Catalog)
        began = now()
        judge.refresh(anew=True)
        timed("read incidents and versions", began)
        began, place, events = now(), ("", 0), 0
        while pairs := state_rows.after(engine, place, 2000):
            events += judge.judge(pairs, write=True)
            place = pairs[-1]
        timed(f"a pass over all installs, {events} flags", began)
        batch = engine.query(
            "SELECT DISTINCT module, install FROM license_states ORDER BY cityHash64(install, 3) LIMIT 500"
        )
        for name in ("first", "second"):
            began = now()
            judge.judge([(module, install) for module, install in batch])
            timed(f"a batch of 500, {name} time", began)
        for name, ask in (("installs", licensing.installs), ("flags", license_flags.flags)):
            for args in ({}, {"flag": "unlicensed"} if name == "installs" else {"severity": "warning"}):
                began = now()
                ask(engine, args)
                timed(f"a page of {name} {args}", began)
        engine.close()


if __name__ == "__main__":
    main()
