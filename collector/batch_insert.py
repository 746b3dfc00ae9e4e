"""Inserts rows into ClickHouse as one batch, with a deduplication token derived from the batch's id.

The id itself never reaches ClickHouse. In a column or in a statement log, it would show which rows arrived together.
Because both planes get each batch, that would join the planes. Instead, each row of the usage plane has a mark. The
mark looks random without the id, and shows the loader whether the row belongs to its batch.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from collector import hour_counts, sealed_reports, source_counts
from collector.spool import Plane
from warehouse import install_data
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.state_codec import LEAST_OF_BATCH

TABLES: dict[Plane, str] = {"usage": "usage_beacons", "license": state_rows.TABLE, "sealed": install_data.SEALED}


class _UsageRow(msgspec.Struct):
    beacon: int
    day: str


class _UsedRow(msgspec.Struct):
    beacon: int
    day: date
    module: str = ""
    install: int = 0
    received: date | None = None  # the collector of an earlier version did not store it


# A live beacon is at most a week old (`collector/planes.py`); what is older was imported.
_IMPORTED = timedelta(days=8)


def insert_batch(
    engine: Engine,
    plane: Plane,
    id: str,
    rows: Sequence[bytes],
    editions: Mapping[int, int] | None = None,
    counted: Collection[int] = (),
) -> None:
    """Insert JSON lines as batch `id`. Repeating it changes nothing. Raises the errors of `Engine.insert`.

    Of the license plane it inserts sealed reports, and counts that no id joins to them.

    `editions` has the edition of the beacons that came after a waiting correction. The uses of the beacons in `counted`
    are in the aggregates already.
    """
    if not rows:
        return
    if plane == "usage":
        rows = [_marked(id, row, editions or {}, counted) for row in rows]
    if plane == "license":
        state_rows.insert(engine, sealed_reports.states(rows), token(id), LEAST_OF_BATCH)
        for table, lines in (
            (install_data.SOURCES, source_counts.counts(rows)),
            (hour_counts.TABLE, hour_counts.per_hour(rows)),
        ):
            if lines:
                engine.of(table).insert(table, lines, token(f"{id} {table}"))
    else:
        engine.of(TABLES[plane]).insert(TABLES[plane], rows, token(id))


def _marked(id: str, row: bytes, editions: Mapping[int, int], counted: Collection[int]) -> bytes:
    beacon = msgspec.json.decode(row, type=_UsageRow).beacon
    head = b'{"mark":%d,' % mark(id, beacon)
    if beacon in editions:
        head += b'"edition":%d,' % editions[beacon]
    if beacon in counted:
        head += b'"counted":1,'
    return head + row[1:]


def insert_id(id: str, lines: Iterable[bytes]) -> str:
    """Return an id for an insert whose retry may have other lines. Different lines need different tokens."""
    digest = hashlib.sha256(id.encode())
    for line in lines:
        digest.update(line + b"\n")
    return digest.hexdigest()


def without_known(engine: Engine, id: str, rows: Sequence[bytes]) -> list[bytes]:
    """Return the rows of the usage plane whose beacon no other batch than `id` has inserted.

    A beacon may arrive a second time through another collector or from an old import. A beacon that is sent again after
    the horizon may still be in the spool. Only the usage plane has sums: a second row in the license plane changes no
    figure.
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


def counted_before(engine: Engine, rows: Sequence[bytes]) -> set[int]:
    """Return the imported beacons of days whose uses are counted and whose rows have expired.

    An import may be repeated after any time. The aggregates cannot tell its beacons from others of the same install,
    module and day. So an import adds uses only to days that have none, or that still have a row.
    """
    old = [
        row
        for row in (msgspec.json.decode(row, type=_UsedRow) for row in rows)
        if row.received and row.day < row.received - _IMPORTED
    ]
    if not old:
        return set()
    installs, days = (
        {row.install for row in old},
        {"days": sorted({row.day for row in old}), "months": sorted({row.day.replace(day=1) for row in old})},
    )
    used = engine.query_each(
        "SELECT DISTINCT module::String, install, month + arrayJoin(bitPositionsToArray(used)) AS day "
        "FROM features_by_month "
        "WHERE month IN {months:Array(Date)} AND install IN {installs:Array(UInt64)} AND day IN {days:Array(Date)}",
        "installs",
        installs,
        days,
    )
    there = engine.query_each(
        "SELECT DISTINCT module::String, install, day FROM usage_beacons "
        "WHERE install IN {installs:Array(UInt64)} AND day IN {days:Array(Date)}",
        "installs",
        installs,
        days,
    )
    counted = set(used) - set(there)
    return {row.beacon for row in old if (row.module, row.install, row.day) in counted}


def token(id: str) -> str:
    """Return the deduplication token of batch `id`."""
    return hmac.digest(id.encode(), b"token", "sha256").hex()


def mark(id: str, beacon: int) -> int:
    """Return the mark of a beacon in batch `id`: 32 bits of a keyed hash, different for each row."""
    return int.from_bytes(hmac.digest(id.encode(), beacon.to_bytes(8), "sha256")[:4])
