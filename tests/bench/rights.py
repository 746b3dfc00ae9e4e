"""How long owner requests take on a large database.

Run it as `python -m tests.bench.rights [ROWS]`. Each plane has ROWS (ten million) beacons over 13 months, and the
install of the requests has one per day. It uses the server at CLICKHOUSE_URL, or the embedded engine.
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
from collector.sealed_reports import fill
from collector.spool import Spool
from core.home import Home
from core.settings import Settings
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
_LICENSE = """
    INSERT INTO license_sightings (time, install, beacon, module, version, status, source, key, ip)
    SELECT now64(3) - toIntervalDay(number % 30 + {month} * 30),
        if(number < 30, {install}, cityHash64(intDiv(number, 30), {month}, 2)), cityHash64(number, {month}, 3),
        'invoice_pro', concat('3.2.', toString(number % 7)), 'licensed', 'whmcs-addon-modules',
        cityHash64(intDiv(number, 30), 4), concat('203.0.113.', toString(number % 250))
    FROM numbers({rows})
"""


def main() -> None:
    """Fill the database, run each request, and print how long each took."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    planes, owner = Planes(b"bench"), str(uuid.uuid4())
    install = planes.pseudonyms(uuid.UUID(owner).bytes, 0)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        engine = Engine(Settings(home=home.path, clickhouse_url=clickhouse_url(AVAILABLE[-1])), home)
        migrate(engine)
        began = time.perf_counter()
        for month in range(MONTHS):
            engine.command(_USAGE.format(month=month, install=install["usage"], rows=rows // MONTHS))
            engine.command(_LICENSE.format(month=month, install=install["license"], rows=rows // MONTHS))
            fill(engine, lambda text: None)
        filling = time.perf_counter() - began
        print(f"{rows:,} beacons in each plane, inserted in {filling:.0f} s")
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
