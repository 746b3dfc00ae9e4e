"""What ClickHouse holds of one install, and how it is taken out for good.

Every table of a plane names its installs by that plane's pseudonym, aggregates too, so erasing rows is all it takes.
"""

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from warehouse.engine import UNLOGGED, Engine
from warehouse.server_users import ServerUser

Plane = Literal["usage", "license"]
# Of each plane the raw table first.
TABLES: dict[Plane, tuple[str, ...]] = {
    "usage": ("usage_beacons", "installs_per_day_by_dimension"),
    "license": ("license_sightings", "installs_per_day_by_license_source", "sightings_by_install"),
}
RETIRED: dict[Plane, str] = {"usage": "retired_usage_installs", "license": "retired_license_installs"}
SEALED = "sealed_beacons"
MOST_REQUESTS = 5000
_ERASING = {**UNLOGGED, "mutations_sync": 2}


def rows(engine: Engine, table: str, install: int) -> list[dict[str, Any]]:
    """All rows of a table about an install, column by column as JSON has them. Raises `EngineError`."""
    columns = "*"
    group = ""
    if table == "sightings_by_install":  # its states are no text
        columns = (
            "module, install, status, min(first_seen) AS first_seen, max(last_seen) AS last_seen, "
            "argMaxMerge(latest) AS latest"
        )
        group = "GROUP BY module, install, status"
    # IN, because a server that logs what it does names the one value of an equality, and not the elements of a set.
    found = engine.json_rows(
        f"SELECT {columns} FROM {table} {'' if group else 'FINAL'} "  # noqa: S608
        f"WHERE install IN {{installs:Array(UInt64)}} {group}",
        {"installs": [install]},
        UNLOGGED,
    )
    return [msgspec.json.decode(line) for line in found]


def erase(engine: Engine, installs: Mapping[Plane, Sequence[int]], who: Sequence[int] = ()) -> None:
    """Delete all rows of these installs in each plane, and what is sealed of `who`, physically.

    Returns when it is done. All tables at once: on the embedded engine a deletion is mostly waiting for each part's
    turn. Raises `EngineError`.
    """
    deletions = [
        (table, f"install IN ({', '.join(map(str, found))})")
        for plane, found in installs.items()
        if found
        for table in TABLES[plane]
    ]
    if who:
        deletions.append((SEALED, f"who IN ({', '.join(map(str, who))})"))
    with ThreadPoolExecutor(max(len(deletions), 1)) as threads:
        list(threads.map(lambda deletion: _delete(engine, *deletion), deletions))


def sealed(engine: Engine, who: int) -> list[tuple[str, bytes, bytes]]:
    """(day, sealed rows, sealed addresses) of a restricted install. Raises `EngineError`."""
    found = engine.query(
        f"SELECT toString(day), sealed, sealed_ip FROM {SEALED} WHERE who = {{who:UInt64}} ORDER BY day",  # noqa: S608
        {"who": who},
        UNLOGGED,
    )
    return [(day, base64.b64decode(row), base64.b64decode(ip)) for day, row, ip in found]


def retired(engine: Engine, plane: Plane, installs: set[int]) -> set[int]:
    """Those of these pseudonyms that were retired by an erasure. Raises `EngineError`."""
    return {
        install
        for (install,) in engine.query_each(
            f"SELECT install FROM {RETIRED[plane]} WHERE install IN {{installs:Array(UInt64)}}",  # noqa: S608
            "installs",
            installs,
        )
    }


@dataclass(frozen=True)
class Requested:
    """The record of a request: `id` is random, and nothing of it says who asked."""

    id: int
    action: str
    state: str
    received: datetime
    done: datetime | None


def requests(engine: Engine) -> list[Requested]:
    """The newest requests, at most `MOST_REQUESTS`, as the loaders tell of them. Raises `EngineError`."""
    found = engine.as_user(ServerUser.PRODUCT).query(
        "SELECT id, argMax((action, state, received, done), written) AS newest FROM rights_requests GROUP BY id "
        "ORDER BY newest.3 DESC, id LIMIT {most:UInt64}",
        {"most": MOST_REQUESTS},
    )
    return [
        Requested(id, action, state, received.replace(tzinfo=UTC), done and done.replace(tzinfo=UTC))
        for id, (action, state, received, done) in found
    ]


def _delete(engine: Engine, table: str, condition: str) -> None:
    target = f"{table}_local ON CLUSTER {engine.cluster}" if engine.cluster else table
    engine.command(f"ALTER TABLE {target} DELETE WHERE {condition}", _ERASING)
    # ClickHouse keeps the last statement of this kind on disk: let it be one that names nobody.
    engine.command(f"ALTER TABLE {target} DELETE WHERE 0", _ERASING)
