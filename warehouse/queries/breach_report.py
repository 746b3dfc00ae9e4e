"""What a notice of a breach needs: how much of what was held in a span of days, and nothing that names anybody."""

from dataclasses import dataclass
from datetime import date

from warehouse.engine import Engine
from warehouse.retention import interval

# Each table of beacons or of what is made of them, with the expression for a row's first day.
TABLES = {
    "usage_beacons": "day",
    "installs_per_day_by_dimension": "day",
    "license_sightings": "toDate(time)",
    "installs_per_day_by_license_source": "day",
    "sightings_by_install": "toDate(first_seen)",
    "sealed_beacons": "day",
}


@dataclass(frozen=True)
class Held:
    """What a table held in the span: rows and columns. A row counts by its own day, not by when it came in."""

    table: str
    rows: int
    columns: list[str]


@dataclass(frozen=True)
class Affected:
    """What was held in a span of days.

    Installs are rounded down to a multiple of k, and a module with fewer than k has None; `beacons` is None when there
    are fewer than k installs in all. `addresses` are the beacons whose addresses were kept then, `with_address` those
    that still have one.
    """

    installs: int
    beacons: int | None
    modules: dict[str, int | None]
    addresses: int
    with_address: int
    tables: list[Held]


def affected(engine: Engine, since: date, until: date, k: int) -> Affected:
    """What lay in ClickHouse at any time from `since` to `until`, as far as it still does. Raises `EngineError`."""
    span = {"since": since, "until": until}
    kept = _kept("license_sightings")
    by_module = engine.query(
        "SELECT module::String, uniqExact(install) FROM license_sightings "  # noqa: S608
        f"WHERE toDate(time) {kept} GROUP BY module ORDER BY module",
        span,
    )
    ((installs, beacons),) = engine.query(
        f"SELECT uniqExact(install), uniqExact(beacon) FROM license_sightings WHERE toDate(time) {kept}",  # noqa: S608
        span,
    )
    ((addresses, with_address),) = engine.query(
        "SELECT count(), countIf(ip != '' OR ip_claim != '') FROM license_sightings "  # noqa: S608
        f"WHERE toDate(time) {_kept('license_sightings.ip')}",
        span,
    )
    return Affected(
        installs // k * k,
        beacons if installs >= k else None,
        {module: number // k * k or None for module, number in by_module},
        addresses,
        with_address,
        [_held(engine, table, day, span) for table, day in TABLES.items()],
    )


def _kept(name: str) -> str:
    """The days of what lay there at any time of the span, for a condition."""
    return f"BETWEEN {{since:Date}} - INTERVAL {interval(name)} AND {{until:Date}}"


def _held(engine: Engine, table: str, day: str, span: dict[str, date]) -> Held:
    # What is known of an install is kept for as long as it reports.
    kept = "<= {until:Date}" if table == "sightings_by_install" else _kept(table)
    ((rows,),) = engine.query(f"SELECT count() FROM {table} WHERE {day} {kept}", span)  # noqa: S608
    columns = engine.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} "
        "ORDER BY position",
        {"table": table},
    )
    return Held(table, rows, [name for (name,) in columns])
