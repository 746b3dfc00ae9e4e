"""Reads and erases the data of an install in ClickHouse.

All tables of a plane, also the aggregates, identify an install by its pseudonym in that plane, but for `SOURCES`. So an
erasure only needs to delete rows.
"""

import base64
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from warehouse.engine import Engine
from warehouse.plane_tables import Plane
from warehouse.server_users import ServerUser
from warehouse.statement_settings import UNLOGGED

# What a restriction takes away.
TABLES: dict[Plane, tuple[str, ...]] = {
    "usage": ("usage_beacons", "installs_by_month", "features_by_month", "installs"),
    "license": (
        "license_states",
        "license_sources_by_month",
        "license_keys",
        "license_sightings",  # of the version before, until the loader seals and deletes its rows
        "sightings_by_install",
        "license_cases",
        "license_flags",
    ),
}
# It identifies an install by a pseudonym of its own; in rows from before that pseudonym, by that of the license plane.
SOURCES = "license_sources_by_month"
# `keyed` of a row whose reports were delivered on other days than they state.
LATE = 3
STATEMENTS = "owner_statements"
SEALED, SEALED_MONTHS = "sealed_beacons", "sealed_months"
# The tables of restricted installs, which name them by `who`.
BY_WHO = (SEALED, SEALED_MONTHS)
# The tables that an erasure deletes from. A restriction keeps the owner's statements.
ALL_TABLES: dict[Plane, tuple[str, ...]] = {"usage": TABLES["usage"], "license": (*TABLES["license"], STATEMENTS)}
# The tables in which ClickHouse deletes for owners' requests.
CHANGED = (*ALL_TABLES["usage"], *ALL_TABLES["license"], *BY_WHO)
RETIRED: dict[Plane, str] = {"usage": "retired_usage_installs", "license": "retired_license_installs"}
MOST_REQUESTS = 5000
_OURS = "database = {database:String} AND table IN {tables:Array(String)}"
# A replica that is down removes its parts when it returns.
_ANY_REPLICA = {"skip_unavailable_shards": 1}


def rows(engine: Engine, table: str, *installs: int) -> list[dict[str, Any]]:
    """Return all rows of a table about these installs, as JSON values by column. Raises `EngineError`."""
    columns = "*"
    group = ""
    if table == "sightings_by_install":  # it stores aggregate states
        columns = (
            "module, install, status, min(first_seen) AS first_seen, max(last_seen) AS last_seen, "
            "argMaxMerge(latest) AS latest"
        )
        group = "GROUP BY module, install, status"
    # Use IN: a server that logs its query plans logs the value of an equality, but not the elements of a set.
    found = engine.of(table).json_rows(
        f"SELECT {columns} FROM {table} {'' if group else 'FINAL'} "  # noqa: S608
        f"WHERE install IN {{installs:Array(UInt64)}} {group}",
        {"installs": list(installs)},
        UNLOGGED,
    )
    return [msgspec.json.decode(line) for line in found]


def holding(engine: Engine, plane: Plane, installs: Collection[int]) -> set[int]:
    """Return the installs that have rows in a table of the plane. Raises `EngineError`."""
    return {install for table in ALL_TABLES[plane] for install in _named(engine, table, "install", installs)}


def holding_sealed(engine: Engine, who: Collection[int]) -> set[int]:
    """Return the installs that have sealed rows. Raises `EngineError`."""
    return {each for table in BY_WHO for each in _named(engine, table, "who", who)}


def _named(engine: Engine, table: str, column: str, values: Collection[int]) -> set[int]:
    found = engine.of(table).query_each(
        f"SELECT DISTINCT {column} FROM {table} WHERE {column} IN {{values:Array(UInt64)}}",  # noqa: S608
        "values",
        values,
    )
    return {value for (value,) in found}


def erase(engine: Engine, installs: Mapping[Plane, Collection[int]], who: Collection[int] = ()) -> None:
    """Delete all rows of these installs in each plane, and the sealed rows of `who`. Waits until they are deleted.

    Raises `EngineError`.
    """
    found = {table: set(installs[plane]) for plane in installs for table in ALL_TABLES[plane]}
    found |= {table: set(who) for table in BY_WHO}
    delete(engine, found, wait=True)
    delete(engine, dict.fromkeys(found, ()), wait=True)


def delete(engine: Engine, rows: Mapping[str, Collection[int]], *, wait: bool = False) -> None:
    """Delete the rows of these installs, by table. Raises `EngineError`.

    Without `wait` it returns when ClickHouse has accepted the statements. ClickHouse then deletes the rows inserted
    before, and none inserted later. It stores the last statement of a table on disk; a deletion of no installs only
    replaces that statement. The tables are changed in parallel, because on the embedded engine a deletion mostly waits
    for its parts.
    """
    statements = []
    for table, installs in rows.items():
        column = "who" if table in BY_WHO else "install"
        condition = f"{column} IN ({', '.join(map(str, sorted(installs)))})" if installs else "0"
        server = engine.of(table)
        statements.append((server, f"ALTER TABLE {server.altered(table)} DELETE WHERE {condition}"))
    settings = {**UNLOGGED, "mutations_sync": 2 if wait else 0}
    with ThreadPoolExecutor(max(len(statements), 1)) as threads:
        list(threads.map(lambda each: each[0].command(each[1], settings), statements))


def deleting(engine: Engine) -> bool:
    """Return whether ClickHouse still rewrites parts. Raises `EngineError`."""
    return any(
        server.query(
            f"SELECT 1 FROM {_system(server, 'mutations')} WHERE NOT is_done AND {_OURS} LIMIT 1",  # noqa: S608
            {"database": server.database, "tables": _on_disk(server)},
            _ANY_REPLICA,
        )
        for server in engine.servers
    )


def left_on_disk(engine: Engine) -> set[tuple[str, ...]]:
    """Return the replaced parts and the finished statements on disk. ClickHouse removes both after seconds.

    Raises `EngineError`.
    """
    return {found for server in engine.servers for found in _left_on_disk(server)}


def _left_on_disk(engine: Engine) -> set[tuple[str, ...]]:
    parameters = {"database": engine.database, "tables": _on_disk(engine)}
    parts = engine.query(
        f"SELECT hostName(), path FROM {_system(engine, 'parts')} WHERE NOT active AND {_OURS}",  # noqa: S608
        parameters,
        _ANY_REPLICA,
    )
    statements = engine.query(
        f"SELECT hostName(), table, mutation_id FROM {_system(engine, 'mutations')} "  # noqa: S608
        f"WHERE {_OURS} AND command NOT LIKE '%DELETE WHERE 0%'",
        parameters,
        _ANY_REPLICA,
    )
    return {*parts, *statements}


def _system(engine: Engine, table: str) -> str:
    return f"clusterAllReplicas('{engine.cluster}', system.{table})" if engine.cluster else f"system.{table}"


def _on_disk(engine: Engine) -> list[str]:
    end = "_local" if engine.cluster else ""
    return [f"{table}{end}" for table in CHANGED]


def sealed(engine: Engine, who: int) -> list[tuple[str, bytes, bytes]]:
    """Return (day, sealed rows, sealed addresses) of a restricted install. Raises `EngineError`."""
    found = engine.query(
        f"SELECT toString(day), sealed, sealed_ip FROM {SEALED} WHERE who = {{who:UInt64}} ORDER BY day",  # noqa: S608
        {"who": who},
        UNLOGGED,
    )
    return [(day, base64.b64decode(row), base64.b64decode(ip)) for day, row, ip in found]


def sealed_months(engine: Engine, who: int) -> list[bytes]:
    """Return the sealed aggregates of a restricted install. Raises `EngineError`."""
    found = engine.query(
        f"SELECT sealed FROM {SEALED_MONTHS} WHERE who = {{who:UInt64}} ORDER BY month, sealed",  # noqa: S608
        {"who": who},
        UNLOGGED,
    )
    return [base64.b64decode(sealed) for (sealed,) in found]


def retired(engine: Engine, plane: Plane, installs: set[int]) -> set[int]:
    """Return the pseudonyms that an erasure retired. Raises `EngineError`."""
    return {
        install
        for (install,) in engine.of(RETIRED[plane]).query_each(
            f"SELECT install FROM {RETIRED[plane]} WHERE install IN {{installs:Array(UInt64)}}",  # noqa: S608
            "installs",
            installs,
        )
    }


@dataclass(frozen=True)
class Requested:
    """The record of a request. `id` is random, and the record does not identify the install."""

    id: int
    action: str
    state: str
    received: datetime
    done: datetime | None


def requests(engine: Engine) -> list[Requested]:
    """Return the newest requests, at most `MOST_REQUESTS`, as shared by the loaders. Raises `EngineError`."""
    found = engine.as_user(ServerUser.PRODUCT).query(
        "SELECT id, argMax((action, state, received, done), written) AS newest FROM rights_requests GROUP BY id "
        "ORDER BY newest.3 DESC, id LIMIT {most:UInt64}",
        {"most": MOST_REQUESTS},
    )
    return [
        Requested(id, action, state, received.replace(tzinfo=UTC), done and done.replace(tzinfo=UTC))
        for id, (action, state, received, done) in found
    ]
