"""How rows reach ClickHouse: as one batch, under a token that is made of the batch's id.

The id itself never reaches ClickHouse. In a column, or in a log of its statements, it would tell which rows came
together, and as a batch goes to both planes, that would join them. In its place a row of the usage plane has a mark,
which looks random to all but who knows the id, and tells the loader whether a row is this batch's own.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

import msgspec

from collector.spool import Plane
from warehouse import install_data
from warehouse.engine import Engine

TABLES: dict[Plane, str] = {"usage": "usage_beacons", "license": "license_sightings", "sealed": install_data.SEALED}


class _UsageRow(msgspec.Struct):
    beacon: int
    day: str


def insert_batch(engine: Engine, plane: Plane, id: str, rows: Sequence[bytes]) -> None:
    """Insert JSON lines as batch `id`; the same batch again changes nothing. Raises as `Engine.insert`."""
    if not rows:
        return
    if plane == "usage":
        rows = [b'{"mark":%d,' % mark(id, msgspec.json.decode(row, type=_UsageRow).beacon) + row[1:] for row in rows]
    engine.insert(TABLES[plane], rows, token(id))


def insert_id(id: str, lines: Iterable[bytes]) -> str:
    """The id of an insert that may be repeated with other lines: a token names one content for ever."""
    digest = hashlib.sha256(id.encode())
    for line in lines:
        digest.update(line + b"\n")
    return digest.hexdigest()


def without_known(engine: Engine, id: str, rows: Sequence[bytes]) -> list[bytes]:
    """The rows of the usage plane whose beacon no batch but `id` brought.

    A beacon comes by two ways through another collector, or by an import of long ago; one that was sent again after the
    horizon may find itself still in the spool. Only the usage plane sums anything; in the license plane a second row
    changes no figure.
    """
    keys = [msgspec.json.decode(row, type=_UsageRow) for row in rows]
    known = engine.query_each(
        "SELECT beacon, mark FROM usage_beacons WHERE day IN {days:Array(Date)} AND beacon IN {beacons:Array(UInt64)}",
        "beacons",
        [key.beacon for key in keys],
        {"days": sorted({key.day for key in keys})},
    )
    beacons = {key.beacon: row for row, key in zip(rows, keys, strict=True)}
    for beacon, marked in known:
        if marked != mark(id, beacon):
            beacons.pop(beacon, None)
    return list(beacons.values())


def token(id: str) -> str:
    """The deduplication token of batch `id`."""
    return hmac.digest(id.encode(), b"token", "sha256").hex()


def mark(id: str, beacon: int) -> int:
    """What marks a beacon as brought by batch `id`: 32 bits of a keyed hash, which no two rows have in common."""
    return int.from_bytes(hmac.digest(id.encode(), beacon.to_bytes(8), "sha256")[:4])
