"""The bytes of a row of each plane, of a beacon in the spool, and of a request through nginx.

    python -m tests.bench.row_bytes

The fleet is that of `pharos demo`: 12 modules, features, versions. A table is merged into a part for each month before
it is measured. A row of `license_states` is that of a batch, until the daily pass writes one for each install in place
of them.
"""

import json
import socket
import ssl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from collector.batch_insert import insert_batch
from collector.planes import Planes
from collector.spool import Spool
from core.home import Home
from core.settings import Settings
from pharos.synthetic_fleet import beacons
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon
from tests.deploy.nginx import COLLECTOR, Nginx
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.migrate import migrate

INSTALLS, DAYS, BATCH = 1500, 25, 5000


def _batches(fleet: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(fleet, BATCH)):
        yield batch


def size(engine: Engine, table: str, when: str = "") -> None:
    """Print the bytes of a row of a table on disk."""
    engine.command(f"OPTIMIZE TABLE {table} FINAL")
    ((size, count),) = engine.query(
        "SELECT sum(bytes_on_disk), sum(rows) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = {table:String}",
        {"table": table},
    )
    print(f"{table}{when}: {count:,} rows, {size / count:.1f} bytes each")


def rows(folder: Path) -> None:
    """Print the bytes of the rows of a fleet, in the tables and in the spool."""
    planes, now = Planes(b"root secret of the measurement"), datetime.now(UTC)
    home = Home(folder)
    engine, spool = Engine(Settings(home=home.path), home), Spool(home.spool)
    migrate(engine)
    for number, batch in enumerate(_batches(beacons(1, INSTALLS, DAYS, now.date()))):
        split = [
            planes.split(one, f"198.51.{hash(one['install_id']) % 250}.{number % 250}", now, keep_date=True).row()
            for one in batch
        ]
        spool.store(split, now.timestamp())
        insert_batch(engine, "usage", f"usage {number}", sorted(row.usage for row in split))
        insert_batch(engine, "license", f"license {number}", sorted(row.license for row in split))
    for table in ("usage_beacons", state_rows.TABLE):
        size(engine, table)
    states = state_rows.read(engine, state_rows.after(engine, ("", 0), INSTALLS * 100))
    engine.command(f"TRUNCATE TABLE {state_rows.TABLE}")
    state_rows.insert(engine, states, "the pass")
    size(engine, state_rows.TABLE, " after the pass")
    spool.checkpoint()
    print(f"spool: {home.spool.stat().st_size / spool.stats().beacons:.0f} bytes a beacon")
    spool.close()
    engine.close()


def wire(folder: Path) -> None:
    """Print the bytes of one beacon over TLS 1.3 to nginx, both directions, with its handshake and without TCP."""
    body = json.dumps(beacon()).encode()
    head = (
        f"POST /v1/beacons HTTP/1.1\r\nHost: {COLLECTOR}\r\nUser-Agent: pharos-php/1\r\nAccept: */*\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    with (
        Collector(folder / "home", PHAROS_INGEST_KEY=KEY, PHAROS_TRUSTED_PROXIES="1") as collector,
        Nginx(folder, collector.port) as nginx,
        socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as link,
    ):
        trusted = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusted.wrap_bio(incoming, outgoing, server_hostname=COLLECTOR)
        moved, answer, pending = 0, b"", head.encode() + body
        while True:
            try:
                tls.do_handshake()
                pending = pending[tls.write(pending) :] if pending else b""
                answer += tls.read()
            except ssl.SSLWantReadError:
                pass
            if outgoing.pending:
                moved += len(sent := outgoing.read())
                link.sendall(sent)
                continue
            if not (received := link.recv(1 << 16)):
                break
            moved += len(received)
            incoming.write(received)
    assert b" 202 " in answer[:20], answer
    print(f"wire: {moved} bytes for a beacon of {len(body)} bytes")


def main() -> None:
    """Print all. The engine comes last, because it moves the folder of temporary files into its home."""
    with tempfile.TemporaryDirectory() as folder:
        wire(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        rows(Path(folder))


if __name__ == "__main__":
    main()
