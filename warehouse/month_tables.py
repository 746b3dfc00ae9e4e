"""Fills the tables by month from what an earlier version holds: each of the two ways runs once, after an SQL file.

`fill` moves what the tables by day hold. A month is moved as a whole: if the process is killed, the month under way is
moved again from its beginning. `fill_used` takes the days of use from the table of features.
"""

import logging
from datetime import date
from typing import Any

from warehouse.engine import Engine
from warehouse.plane_tables import Plane

AFTER, USED_AFTER = "030_month_tables.sql", "070_days_of_use.sql"
_BIT = "bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32"
VALUES = "version, license_status, os, os_version, arch, virtualization, whmcs, php, database, web_server, country"
_SOURCES: dict[Plane, str] = {"usage": "installs_per_day_by_dimension", "license": "installs_per_day_by_license_source"}
# Each table by month: the plane of its source, its columns, and the SELECT of a month.
_MOVES: dict[str, tuple[Plane, str, str]] = {
    "installs_by_month": (
        "usage",
        f"module, install, month, {VALUES}, days",
        f"SELECT module, install, toStartOfMonth(day) AS month, {VALUES}, {_BIT} FROM {{source}}",  # noqa: S608
    ),
    "features_by_month": (
        "usage",
        "module, feature, install, month, variant, reported, used, uses",
        f"""
        SELECT module, feature, install, toStartOfMonth(day) AS month, toUInt32(cityHash64({VALUES})),
            {_BIT} AS bit, if(mapContains(uses, feature), bit, 0)::UInt32,
            if(mapContains(uses, feature), map(toDayOfMonth(day), uses[feature]), map())::Map(UInt8, UInt64)
        FROM {{source}} ARRAY JOIN reported AS feature
        """,  # noqa: S608
    ),
    "license_sources_by_month": (
        "license",
        "module, install, month, version, license_status, license_source, country, days",
        f"""
        SELECT module, install, toStartOfMonth(day) AS month, version, license_status, license_source, country, {_BIT}
        FROM {{source}}
        """,  # noqa: S608
    ),
}
# On a cluster, `variant` of the left table must be no alias.
_USED = f"""
    INSERT INTO installs_by_month (module, install, month, {VALUES}, edition, days, used)
    SELECT module, install, month, {VALUES}, edition, groupBitOr(reported_on), groupBitOr(used)
    FROM features_by_month
    INNER JOIN (
        SELECT module, install, month, variant, edition, {VALUES}, days AS reported_on
        FROM installs_by_month WHERE {{where}}
    ) AS reports USING (module, install, month, variant, edition)
    WHERE {{where}} AND used != 0
    GROUP BY module, install, month, {VALUES}, edition
"""  # noqa: S608
# The number of rows that one insert reads: it ends within seconds.
ROWS = 1_000_000
# The rows of a month are no batch: its blocks have no token, and none of them may be dropped as repeated.
_SETTINGS = {"insert_deduplicate": 0}
_SETTINGS_WHERE_KNOWN = {"deduplicate_insert": "disable"}

log = logging.getLogger("pharos.migrate")


def fill(engine: Engine) -> None:
    """Move all months that are not moved yet. Raises `EngineError`."""
    sources = [_SOURCES[plane] for plane in engine.planes]
    names = {name for (name,) in engine.query("SELECT name FROM system.tables WHERE database = currentDatabase()")}
    if not names.issuperset(sources):
        return  # a later file has dropped them
    moved = {month for (month,) in engine.query("SELECT month FROM filled_months")}
    months = sorted(
        {
            month
            for source in sources
            for (month,) in engine.query(f"SELECT DISTINCT toStartOfMonth(day) FROM {source}")  # noqa: S608
        }
        - moved
    )
    for number, month in enumerate(months, 1):
        log.info("moving %s to the tables by month: month %d of %d", f"{month:%Y-%m}", number, len(months))
        _move(engine, month)
        engine.command(f"INSERT INTO filled_months VALUES ('{month}')")  # noqa: S608
    if "usage" in engine.planes:
        engine.command(
            "INSERT INTO installs SELECT module, install, min(day) AS first, max(day) AS last, first, last "  # noqa: S608
            f"FROM {_SOURCES['usage']} GROUP BY module, install"
        )


def fill_used(engine: Engine) -> None:
    """Note on which of its days an install used a feature. To repeat it changes nothing. Raises `EngineError`."""
    if "usage" not in engine.planes:
        return
    settings = _settings(engine)
    months = engine.query("SELECT month, count() FROM features_by_month GROUP BY month ORDER BY month")
    for number, (month, rows) in enumerate(months, 1):
        log.info("noting the days of use of %s: month %d of %d", f"{month:%Y-%m}", number, len(months))
        parts = 1 + rows // ROWS
        for part in range(parts):
            engine.command(_USED.format(where=f"month = '{month}' AND install % {parts} = {part}"), settings)


def _settings(engine: Engine) -> dict[str, Any]:
    known = {name for (name,) in engine.query("SELECT name FROM system.settings")}
    return {**_SETTINGS, **{name: each for name, each in _SETTINGS_WHERE_KNOWN.items() if name in known}}


def _move(engine: Engine, month: date) -> None:
    settings = _settings(engine)
    for table, (plane, columns, select) in _MOVES.items():
        if plane not in engine.planes:
            continue
        # What an interrupted move left.
        engine.command(f"ALTER TABLE {engine.altered(table)} DROP PARTITION ID '{month:%Y%m}'")
        source, of_month = _SOURCES[plane], f"toYYYYMM(day) = {month:%Y%m}"
        ((rows,),) = engine.query(f"SELECT count() FROM {source} WHERE {of_month}")  # noqa: S608
        parts = 1 + rows // ROWS
        for part in range(parts):
            chosen = f"(SELECT * FROM {source} WHERE {of_month} AND install % {parts} = {part})"  # noqa: S608
            engine.command(f"INSERT INTO {table} ({columns}) {select.format(source=chosen)}", settings)
