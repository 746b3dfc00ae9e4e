"""How long owner requests take on a large database.

Run it as `python -m tests.bench.rights [ROWS]`. Each plane has what it keeps of ROWS (ten million) beacons over 13
months, and the install of the requests has one per day. It uses the server at CLICKHOUSE_URL, or the embedded engine.
"""

import sys
import tempfile
import time
import uuid
from pathlib import Path

from collector.planes import Planes
from collector.rights.api import Corrections, ask
from collector.rights.executor import RightsExecutor
from collector.rights.request_store import RequestStore
from collector.spool import Spool
from core.home import Home
from core.settings import Settings
from tests.bench.installs import fill_states
from tests.end_to_end.system import AVAILABLE, clickhouse_url
from warehouse import install_data
from warehouse.engine import Engine
from warehouse.migrate import migrate

ROWS = 10_000_000
MONTHS, DAYS = 13, 30  # of which each of the others lives one
MINUTE = 60.0
MODULE = "invoice_pro"
# What `number` makes of a row; {month} and {install} are filled in.
_USAGE = """
    INSERT INTO usage_beacons (day, install, beacon, mark, module, version, license_status, os_family, os, os_version,
        arch, virtualization, whmcs, php, database, web_server, features)
    SELECT today() - number % 30 - {month} * 30, if(number < 30, {install}, cityHash64(intDiv(number, 30), {month})),
        cityHash64(number, {month}, 1), number, 'invoice_pro', concat('3.2.', toString(number % 7)), 'licensed',
        'linux', 'debian', toString(10 + number % 4), 'x86_64', 'kvm', concat('8.13.', toString(number % 3)),
        concat('8.2.', toString(number % 29)), 'mariadb-10.11', 'apache-2.4',
        map('invoice.pdf_export', number % 97, 'admin.widget', number % 13)
    FROM numbers({rows})
"""
_COUNTS = """
    INSERT INTO license_sources_by_month
        (module, install, month, version, license_status, license_source, country, days, keyed)
    SELECT 'invoice_pro', if(number = 0, {install}, cityHash64(number, {month}, 5)),
        toStartOfMonth(today() - INTERVAL {month} MONTH), '3.2.1', 'licensed', 'whmcs-addon-modules', '', 4294967295, 2
    FROM numbers({installs})
"""
_LICENSED = (
    "SELECT 'invoice_pro', cityHash64(number, 2) AS install, number FROM numbers({installs:UInt64}) ORDER BY install"
)


def main() -> None:
    """Fill the database, run each request, and print how long each took."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    planes, owner = Planes(b"bench"), str(uuid.uuid4())
    install = planes.pseudonyms(uuid.UUID(owner).bytes, 0)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        url = clickhouse_url(AVAILABLE[-1])
        engine = Engine(Settings(home=home.path, clickhouse_url=url, secret="a root secret"), home)
        migrate(engine)
        began = time.perf_counter()
        others = rows // MONTHS // DAYS
        for month in range(MONTHS):
            engine.command(_USAGE.format(month=month, install=install["usage"], rows=rows // MONTHS))
            engine.command(_COUNTS.format(month=month, install=install["source"], installs=others))
        licensed = engine.query(_LICENSED, {"installs": others * MONTHS})
        fill_states(engine, {(module, each): key for module, each, key in licensed}, DAYS)
        fill_states(engine, {(MODULE, install["license"]): 1}, MONTHS * DAYS)
        filling = time.perf_counter() - began
        print(
            f"{rows:,} beacons in the usage plane, and what the license plane keeps of them, filled in {filling:.0f} s"
        )
        register = RequestStore(Spool(home.spool))
        office = RightsExecutor(register, engine)
        corrections: Corrections = {"usage": {"php": "8.3.14"}, "license": {}}
        for action in ("access", "restrict", "lift", "rectify", "erase"):
            nothing: Corrections = {"usage": {}, "license": {}}
            ask(register, planes, owner, action, MODULE, corrections if action == "rectify" else nothing)
            began = time.perf_counter()
            while register.pending():
                if not office.step():
                    time.sleep(0.1)
            took = time.perf_counter() - began
            assert register.all()[0].state == "done", action
            late = "" if took < MINUTE else "  over a minute"
            print(f"{action:44}{took:12.1f} s{took / filling:10.2f} of the filling{late}", flush=True)
        assert not any(
            install_data.rows(engine, table, install[plane])
            for plane in install_data.TABLES
            for table in install_data.TABLES[plane]
        )
        engine.close()


if __name__ == "__main__":
    main()
