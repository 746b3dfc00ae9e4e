"""Makes sealed states of the rows of the license plane, and once of the sightings from before."""

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import Place, Report, State, merged, of_report
from warehouse.statement_settings import UNLOGGED

# Installs whose sightings are sealed at once.
PORTION = 2000
SIGHTINGS = "license_sightings"
# A live beacon is at most a week old (`collector/planes.py`).
USUAL = timedelta(days=8)
log = logging.getLogger("pharos.loader")

# Of each day the first and the last time of each report, which is what a state keeps.
_SIGHTINGS = """
SELECT install, intDiv(toUnixTimestamp(toDateTime(time)), 86400) AS day, min(toUnixTimestamp(toDateTime(time))),
    max(toUnixTimestamp(toDateTime(time))), status::String, key, source::String, version::String, received = 1,
    country::String, ip, ip_claim
FROM license_sightings
WHERE module = {module:String} AND install IN {installs:Array(UInt64)}
GROUP BY install, day, status, key, source, version, received, country, ip, ip_claim
"""


class _Sighting(msgspec.Struct):
    """What a state keeps of a row of the license plane."""

    module: str
    install: int
    time: str
    status: str
    version: str
    source: str = ""
    key: int = 0
    ip: str = ""
    ip_claim: str = ""
    country: str = ""
    received: int | None = None


def states(rows: Iterable[bytes]) -> dict[Pair, State]:
    """Return what these rows of the license plane say, by install and module."""
    found: dict[Pair, list[State]] = {}
    for row in rows:
        seen = msgspec.json.decode(row, type=_Sighting)
        received = bool(seen.ip if seen.received is None else seen.received)
        report = Report(seen.status, seen.key, seen.source, seen.version, received, seen.country)
        time = int(datetime.fromisoformat(seen.time).replace(tzinfo=UTC).timestamp() // 1)
        state = of_report(time, report, Place(seen.ip, seen.ip_claim))
        found.setdefault((seen.module, seen.install), []).append(state)
    return {pair: merged(parts) if len(parts) > 1 else parts[0] for pair, parts in found.items()}


def fill(engine: Engine, note: Callable[[str], None] = log.info) -> None:
    """Seal the sightings that no state contains: of the version before, its loader or its backup.

    Repeating it changes nothing. Raises `EngineError`. What a loader of the version before inserts meanwhile is left to
    the next call, and with it all that is not older than what such a loader usually inserts.
    """
    engine = engine.of(SIGHTINGS)
    before = _unsealed(engine)
    if not before["1"]:
        return
    note(f"sealing {before['1']} license reports")
    done, portion = 0, _portion(engine, ("", 0))
    while portion:
        state_rows.insert(engine, dict(_states(engine, portion)), secrets.token_hex(16))
        done += len(portion)
        note(f"sealed the license reports of {done} installs")
        portion = _portion(engine, portion[-1])
    after = _unsealed(engine)
    unchanged = next((condition for condition in before if after[condition] == before[condition]), None)
    if unchanged:
        engine.command(
            f"ALTER TABLE {engine.altered(SIGHTINGS)} UPDATE in_state = 1 WHERE in_state = 0 AND {unchanged}",
            {**UNLOGGED, "mutations_sync": 2},
        )


def _unsealed(engine: Engine) -> dict[str, int]:
    """Return the number of all sightings that no state contains, and of the old ones among them, by SQL condition."""
    old = f"time < '{datetime.now(UTC) - USUAL:%Y-%m-%d}'"
    ((every, older),) = engine.query(f"SELECT count(), countIf({old}) FROM {SIGHTINGS} WHERE in_state = 0")  # noqa: S608
    return {"1": int(every), old: int(older)}


def _portion(engine: Engine, last: Pair) -> list[Pair]:
    """Return the next installs with sightings that no state contains."""
    found = engine.query(
        f"SELECT DISTINCT module::String, install FROM {SIGHTINGS} WHERE in_state = 0 "  # noqa: S608
        "AND module >= {module:String} AND (module > {module:String} OR install > {install:UInt64}) "
        "ORDER BY module, install LIMIT {most:UInt32}",
        {"module": last[0], "install": last[1], "most": PORTION},
    )
    return [(module, install) for module, install in found]


def _states(engine: Engine, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, State]]:
    """Yield the states of these installs, from all their sightings."""
    for module, installs in state_rows.by_module(pairs).items():
        found: dict[int, list[State]] = {}
        for install, _, *row in engine.query_each(_SIGHTINGS, "installs", installs, {"module": module}):
            found.setdefault(install, []).append(_of_day(*row))
        yield from (((module, install), merged(states)) for install, states in found.items())


def _of_day(first: int, last: int, *report: Any) -> State:
    status, key, source, version, received, country, *place = report
    said = Report(status, key, source, version, bool(received), country), Place(*place)
    return merged([of_report(first, *said), of_report(last, *said)])
