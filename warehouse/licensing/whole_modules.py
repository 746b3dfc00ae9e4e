"""Reads what the rules need to know about whole modules: who turned from licensed, and which versions send a key."""

from datetime import UTC, date, datetime, time, timedelta

from warehouse.engine import Engine
from warehouse.install_data import LATE, SOURCES
from warehouse.licensing import incidents
from warehouse.licensing.facts import AWAY, Cohort
from warehouse.licensing.incidents import Turn
from warehouse.licensing.states import ADDRESS_DAYS

# Changes of the license that are older are in no incident that still matters.
TURN_DAYS = 60
EPOCH = date(1970, 1, 1).toordinal()
LICENSED = "license_status = 'licensed'"
# The days of a row of `SOURCES`, in order, as numbers.
_DAYS_OF_ROW = "arrayMap(bit -> toUInt16(month) + bit, bitPositionsToArray(days))"


def cohorts(engine: Engine, now: datetime) -> dict[tuple[str, str], Cohort]:
    """Return by module and version the installs that have reported `licensed` for two days or more, and with a key.

    An install that was seen once proves nothing about its version, and neither does what arrived on another day than it
    states. Raises `EngineError`.
    """
    found = engine.query(
        "SELECT module, latest.1 AS version, countIf(latest.2 > 0), countIf(latest.2 = 2), countIf(latest.2 = 0) FROM ("  # noqa: S608
        f"SELECT module::String AS module, install, max({_DAYS_OF_ROW}[-1]) AS last, "
        f"argMax((version::String, keyed), ({_DAYS_OF_ROW}[-1], keyed, version)) AS latest "
        f"FROM {SOURCES} WHERE {LICENSED} AND keyed != {LATE} AND month >= {{month:Date}} GROUP BY module, install "
        f"HAVING last >= {{day:UInt32}} AND last >= min({_DAYS_OF_ROW}[1]) + 2"
        ") GROUP BY module, version",
        {"month": _month(now), "day": (now - timedelta(days=ADDRESS_DAYS)).date().toordinal() - EPOCH},
    )
    return {(module, version): Cohort(*numbers) for module, version, *numbers in found}


def turns(engine: Engine, now: datetime) -> tuple[dict[str, list[Turn]], dict[str, int]]:
    """Return by module when installs turned from licensed, and the number of its installs. Raises `EngineError`.

    Both of the last `TURN_DAYS` days, and of the whole month in which these begin.
    """
    away = "license_status IN ('" + "', '".join(sorted(AWAY)) + "')"
    of_status = f"groupUniqArrayArrayIf({_DAYS_OF_ROW}, {{}})"
    parameters = {"month": _month(now)}
    found: dict[str, list[Turn]] = {}
    for module, install, licensed, gone in engine.query(
        f"SELECT module::String AS module, install, {of_status.format(LICENSED)}, {of_status.format(away)} "  # noqa: S608
        f"FROM {SOURCES} WHERE month >= {{month:Date}} AND ({LICENSED} OR {away}) "
        f"GROUP BY module, install HAVING countIf({LICENSED}) > 0 AND countIf({away}) > 0",
        parameters,
    ):
        if turned := incidents.turns(install, {*map(_day, licensed)}, {*map(_day, gone)}):
            found.setdefault(module, []).extend(turned)
    numbers = engine.query(
        f"SELECT module::String AS module, uniqExact(install) FROM {SOURCES} WHERE month >= {{month:Date}} "  # noqa: S608
        "GROUP BY module",
        parameters,
    )
    return found, dict(numbers)


def _month(now: datetime) -> str:
    """Return the first day of the month from which on whole modules are known."""
    return f"{now.astimezone(UTC) - timedelta(days=TURN_DAYS):%Y-%m-01}"


def _day(number: int) -> datetime:
    return datetime.combine(date.fromordinal(EPOCH + number), time(), UTC)
