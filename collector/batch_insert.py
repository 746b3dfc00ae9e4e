"""How rows reach ClickHouse: as one batch, under a token that is made of the batch's id.

The id itself never reaches ClickHouse. In a column, or in a log of its statements, it would tell which rows came
together, and as a batch goes to both planes, that would join them. In its place a row of the usage plane has a mark,
which looks random to all but who knows the id, and tells the loader whether a row is this batch's own.
"""

import hmac
from collections.abc import Sequence

import msgspec

from collector.spool import Plane
from warehouse import install_data
from warehouse.engine import Engine

TABLES: dict[Plane, str] = {"usage": "usage_beacons", "license": "license_sightings", "sealed": install_data.SEALED}


class _Row(msgspec.Struct):
    beacon: int


def insert_batch(engine: Engine, plane: Plane, id: str, rows: Sequence[bytes]) -> None:
    """Insert JSON lines as batch `id`; the same batch again changes nothing. Raises as `Engine.insert`."""
    if not rows:
        return
    if plane == "usage":
        rows = [b'{"mark":%d,' % mark(id, msgspec.json.decode(row, type=_Row).beacon) + row[1:] for row in rows]
    engine.insert(TABLES[plane], rows, token(id))


def token(id: str) -> str:
    """The deduplication token of batch `id`."""
    return hmac.digest(id.encode(), b"token", "sha256").hex()


def mark(id: str, beacon: int) -> int:
    """What marks a beacon as brought by batch `id`: 32 bits of a keyed hash, which no two rows have in common."""
    return int.from_bytes(hmac.digest(id.encode(), beacon.to_bytes(8), "sha256")[:4])
