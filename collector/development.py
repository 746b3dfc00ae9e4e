"""Beacons under a development key: validated and answered as all are, kept apart for a day, and counted in no figure.

A module's developer sees them on the page Data. A row has what the usage plane would store, without the pseudonym, and
of what only the license plane stores the names of the fields. Nothing of it says which server sent it.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from collector.ingestion import Processed
from collector.rejections import field_of
from collector.spool import Group, Spool
from collector.validate import Rejected, holds
from core.credentials import IngestKey
from core.fields import FIELDS

# Who tries a module does not wait for a day. The clients do not ask more often.
NEXT_SECONDS = 60
# Of the usage row: the pseudonym, the duplicate id, and the day of receipt, which `received` has more exactly.
_LEFT_OUT = frozenset({"install", "beacon", "received"})
_LICENSE_ONLY = tuple(field.path for field in FIELDS if field.license and not field.usage)


class Tried(msgspec.Struct, frozen=True):
    """What became of a beacon, or of a request that could not be read: a row for ClickHouse.

    `outcome` is that of the metric `pharos_beacons`. `stored` is a JSON object by column of the usage plane,
    `license_only` has the fields that only the license plane stores, `undeclared` counts what the catalog removed.
    """

    id: str
    received: str
    key: str
    outcome: str
    reason: str = ""
    field: str = ""
    clock_skewed: bool = False
    stored: str = "{}"
    license_only: Sequence[str] = ()
    undeclared: dict[str, int] = {}


def tried(
    beacons: Sequence[dict[str, Any]],
    processed: Sequence[Processed],
    rejected: Iterable[Rejected],
    key: IngestKey,
    now: datetime,
) -> list[Tried]:
    """Return the rows of a request. A beacon that its owner's decisions keep out of the usage plane has none."""
    received = now.replace(tzinfo=None).isoformat(" ", "milliseconds")
    rows = [
        _accepted(beacon, each, key.id, received)
        for beacon, each in zip(beacons, processed, strict=True)
        if _shown(each)
    ]
    return rows + [
        Tried(str(uuid.uuid4()), received, key.id, "rejected", str(why.reason), field_of(why.path)) for why in rejected
    ]


def _shown(processed: Processed) -> bool:
    if processed.state.objected or processed.state.restricted:
        return False
    return processed.row is not None or processed.undeclared


def _accepted(beacon: dict[str, Any], processed: Processed, key: str, received: str) -> Tried:
    removed = {str(kind): times for kind, times in processed.dropped.items()}
    if processed.undeclared:
        return Tried(
            str(uuid.uuid4()),
            received,
            key,
            "undeclared",
            undeclared=removed,
        )
    stored, license_only = _kept(beacon, processed)
    return Tried(
        str(uuid.uuid4()),
        received,
        key,
        "accepted",
        clock_skewed=processed.split.clock_skewed,
        stored=msgspec.json.encode(stored).decode(),
        license_only=license_only,
        undeclared=removed,
    )


def checked(beacon: dict[str, Any], processed: Processed) -> dict[str, Any] | None:
    """Return what the row of a beacon would keep of it, None where it keeps nothing."""
    if not _shown(processed) or processed.undeclared:
        return None
    stored, license_only = _kept(beacon, processed)
    return {"stored": stored, "license_only": license_only}


def _kept(beacon: dict[str, Any], processed: Processed) -> tuple[dict[str, Any], list[str]]:
    """Return the values of the usage plane by column, and the fields that only the license plane stores."""
    usage = {
        column: value
        for column, value in processed.split.usage.items()
        if column not in _LEFT_OUT and value not in ("", {})
    }
    return usage, [path for path in _LICENSE_ONLY if holds(beacon, path)]


def store(path: Path, rows: Sequence[Tried], limits: tuple[tuple[str, int], ...]) -> int:
    """Store rows on disk; returns 0, or the seconds to wait if they are over a limit. Raises `Unavailable`."""
    spool = Spool(path)
    try:
        spool.check_space()
        if wait := spool.count(Group([], limits), len(rows)):
            return wait
        spool.store_development([msgspec.json.encode(row) for row in rows])
        return 0
    finally:
        spool.close()
