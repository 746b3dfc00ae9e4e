"""The figures for a breach notification: how much data was held in a span of days. They identify nobody."""

from dataclasses import dataclass
from datetime import date

from warehouse.engine import Engine
from warehouse.licensing.states import ADDRESS_DAYS
from warehouse.retention import interval

# Each table of beacons or derived from beacons, with the expression for a row's first day. Without one, all rows count:
# states and keys are written anew each day, whatever day their reports are from.
TABLES = {
    "usage_beacons": "day",
    "installs_by_month": "month",
    "features_by_month": "month",
    "installs": "first_day",
    "license_sightings": "toDate(time)",
    "license_sources_by_month": "month",
    "sightings_by_install": "toDate(first_seen)",
    "license_states": "",
    "license_keys": "",
    "license_cases": "toDate(at)",
    "license_flags": "toDate(at)",
    "sealed_beacons": "day",
    "sealed_months": "month",
}
# It names no install.
HOURS = "license_beacons_per_hour"


@dataclass(frozen=True)
class Held:
    """The rows and columns that a table held in the span. A row counts by its own day, not by its day of receipt."""

    table: str
    rows: int
    columns: list[str]


@dataclass(frozen=True)
class Affected:
    """The data held in a span of days.

    Installs are rounded down to a multiple of k. A module with fewer than k installs has None. `beacons` is None when
    all modules together have fewer than k installs. `addresses` is the number of beacons in the span and in the 30 days
    before it, for which addresses are kept; `with_address` is the number of those whose address is still held. Beacons
    also count if their install was erased since.
    """

    installs: int
    beacons: int | None
    modules: dict[str, int | None]
    addresses: int
    with_address: int
    tables: list[Held]


def affected(engine: Engine, since: date, until: date, k: int) -> Affected:
    """Return what ClickHouse held at any time from `since` to `until` and still holds. Raises `EngineError`."""
    span = {"since": since, "until": until}
    license = engine.of(HOURS)
    kept = _retained(engine, "license_states")
    reported = f"arrayExists(position -> month + position {kept}, bitPositionsToArray(days))"
    by_module = license.query(
        "SELECT module::String, uniqExact(install) FROM license_sources_by_month "  # noqa: S608
        f"WHERE {reported} GROUP BY module ORDER BY module",
        span,
    )
    ((installs,),) = license.query(
        f"SELECT uniqExact(install) FROM license_sources_by_month WHERE {reported}",  # noqa: S608
        span,
    )
    ((beacons,),) = license.query(f"SELECT sum(beacons) FROM {HOURS} WHERE toDate(hour) {kept}", span)  # noqa: S608
    addressed = f"BETWEEN {{since:Date}} - INTERVAL {ADDRESS_DAYS} DAY AND {{until:Date}}"
    ((addresses, with_address),) = license.query(
        f"SELECT sum(beacons), sumIf(with_address, toDate(hour) >= today() - {ADDRESS_DAYS}) "  # noqa: S608
        f"FROM {HOURS} WHERE toDate(hour) {addressed}",
        span,
    )
    return Affected(
        installs // k * k,
        beacons if installs >= k else None,
        {module: number // k * k or None for module, number in by_module},
        addresses,
        with_address,
        [_held(engine.of(table), table, day, span) for table, day in TABLES.items()],
    )


def _retained(engine: Engine, name: str) -> str:
    """Return an SQL condition on the days of rows that were retained at any time of the span."""
    return f"BETWEEN {{since:Date}} - INTERVAL {interval(engine, name)} AND {{until:Date}}"


def _held(engine: Engine, table: str, day: str, span: dict[str, date]) -> Held:
    # These tables keep a row for as long as the install reports, or the case is open.
    kept = (
        f"{day} <= {{until:Date}}"
        if table in ("installs", "sightings_by_install", "license_cases")
        else f"{day} {_retained(engine, table)}"
    )
    if table == "usage_beacons":  # it keeps a row by its day of receipt
        kept = f"{day} <= {{until:Date}} AND received >= {{since:Date}} - INTERVAL {interval(engine, table)}"
    ((rows,),) = engine.query(f"SELECT count() FROM {table} WHERE {kept if day else 1}", span)  # noqa: S608
    columns = engine.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} "
        "ORDER BY position",
        {"table": table},
    )
    return Held(table, rows, [name for (name,) in columns])
