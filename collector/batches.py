"""How rows reach ClickHouse: as one batch with an id, which is a column of the rows and the token of the insert."""

from collections.abc import Sequence

from collector.spool import Plane
from warehouse import rights
from warehouse.engine import Engine

TABLES: dict[Plane, str] = {"usage": "usage_beacons", "license": "license_sightings", "sealed": rights.SEALED}


def insert_batch(engine: Engine, plane: Plane, id: str, rows: Sequence[bytes]) -> None:
    """Insert JSON lines as batch `id`; the same batch again changes nothing. Raises as `Engine.insert`."""
    if rows:
        mark = f'{{"batch":"{id}",'.encode()
        engine.insert(TABLES[plane], [mark + row[1:] for row in rows], token=id)
