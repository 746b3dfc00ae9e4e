"""Judging at scale: `python -m tests.bench.judging [INSTALLS] [DAYS]` fills the license plane with sealed states.

Each install has the row of the last pass and one of the last day. 1% of the installs are unlicensed, 1% are suspended,
and 5% share a key with others. It prints the seconds of a pass over all installs, which writes them anew, and of a
batch of 500, then the least of several answers about installs and flags.
"""

import sys
import tempfile
import time
from pathlib import Path

from core.catalog import Catalog
from core.home import Home
from core.settings import Settings
from tests.bench import installs
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.judge import Judge
from warehouse.licensing.state_codec import LEAST_OF_BATCH
from warehouse.migrate import migrate

PORTION = 2000
_INSTALLS = """
SELECT concat('module_', toString(number % 10)) AS module, cityHash64(number) AS install,
    cityHash64(if(number % 20 = 1, intDiv(number, 100), number), 'key') FROM numbers({installs:UInt32})
ORDER BY module, install
"""
# As the loader counts them: a row for each install and month.
_COUNTS = """
INSERT INTO license_sources_by_month
    (module, install, month, version, license_status, license_source, country, days, keyed)
SELECT concat('module_', toString(number % 10)), cityHash64(number, 'source'),
    toStartOfMonth(today() - INTERVAL {back} MONTH), '3.2.2',
    transform(cityHash64(number) % 100, [0, 1], ['unlicensed', 'suspended'], 'licensed'), 'whmcs-addon-modules', 'DE',
    4294967295, 2 FROM numbers({installs})
"""


def timed(name: str, began: tuple[float, float]) -> None:
    """Print wall and CPU seconds since `began`."""
    print(f"{name}: {time.monotonic() - began[0]:.1f} s, {time.process_time() - began[1]:.1f} s of CPU", flush=True)


def now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def main() -> None:
    """Fill, judge, and print."""
    number, days = (int(text) for text in (*sys.argv[1:], "200000", "50")[:2])
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        engine = Engine(Settings(home=home.path), home)
        migrate(engine)
        began = now()
        rows = engine.query(_INSTALLS, {"installs": number})
        keys = {(module, install): key for module, install, key in rows}
        installs.fill_states(engine, keys, days)
        installs.fill_states(engine, keys, 1, LEAST_OF_BATCH)
        for back in (1, 2):
            engine.command(_COUNTS.format(back=back, installs=number))
        timed(f"filled with {number} installs of {days} days", began)
        judge = Judge(engine, Settings(), Catalog)
        began = now()
        judge.refresh(anew=True)
        timed("read incidents and versions", began)
        began, place, events = now(), ("", 0), 0
        while pairs := state_rows.after(engine, place, PORTION):
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
        # The loader deletes what a pass has read once it is an hour old: one row is left of each install.
        engine.command("TRUNCATE TABLE license_states")
        installs.fill_states(engine, keys, days)
        installs.pages(engine)
        engine.close()


if __name__ == "__main__":
    main()
