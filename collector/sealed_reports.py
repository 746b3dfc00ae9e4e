"""Makes sealed states of the rows of the license plane, and of what the version before stored in clear."""

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from warehouse import install_data
from warehouse.engine import ContentError, Engine
from warehouse.licensing import state_rows
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import Place, Report, State, merged, of_report
from warehouse.statement_settings import UNLOGGED

# Installs whose sightings are sealed at once.
PORTION = 2000
IDS = 1 << 64
# The tables of the version before.
SIGHTINGS, BY_INSTALL = "license_sightings", "sightings_by_install"
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


# When each status was first reported outlives the sightings.
_SINCE = """
SELECT install, status::String, toUnixTimestamp(toDateTime(min(first_seen)))
FROM sightings_by_install
WHERE module = {module:String} AND install IN {installs:Array(UInt64)}
GROUP BY install, status
"""


class Sighting(msgspec.Struct):
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
    status_since: str = ""  # of a row that comes back from a restriction


def states(rows: Iterable[bytes]) -> dict[Pair, State]:
    """Return what these rows of the license plane say, by install and module. Raises `ContentError`."""
    found: dict[Pair, list[State]] = {}
    decode = msgspec.json.Decoder(Sighting).decode
    for row in rows:
        try:
            seen = decode(row)
            time = _seconds(seen.time)
            since = min(time, _seconds(seen.status_since)) if seen.status_since else time
        except (msgspec.MsgspecError, ValueError) as error:
            raise ContentError(f"a row of the license plane cannot be read: {type(error).__name__}") from None
        if not (0 <= seen.install < IDS and 0 <= seen.key < IDS):
            raise ContentError("a row of the license plane has a pseudonym that is none")
        received = bool(seen.ip if seen.received is None else seen.received)
        report = Report(seen.status, seen.key, seen.source, seen.version, received, seen.country)
        state = of_report(time, report, Place(seen.ip, seen.ip_claim))
        if since != time:
            state = replace(state, since={seen.status: since})
        found.setdefault((seen.module, seen.install), []).append(state)
    return {pair: merged(parts) if len(parts) > 1 else parts[0] for pair, parts in found.items()}


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() // 1)


def rows(engine: Engine, install: int) -> list[dict[str, Any]]:
    """Return rows of the license plane that say what the states of an install say. Raises `EngineError`.

    A row has its id from its content: what is sealed twice for the owner returns once.
    """
    found = []
    for said in state_rows.reports(engine, [install]):
        for moment in sorted({said.pop("first"), said.pop("last")}):
            row = {**said, "received": int(said["received"]), "time": f"{moment[:10]} {moment[11:19]}.000"}
            digest = hashlib.sha256(msgspec.json.encode(row, order="sorted")).digest()
            # `in_state`: it is counted by hour already.
            found.append({**row, "beacon": int.from_bytes(digest[:8]), "in_state": 1})
    return found


def fill(engine: Engine, note: Callable[[str], None] = log.info) -> None:
    """Seal the sightings of the version before, its loader or its backup, and delete them.

    Repeating it changes nothing. Raises `EngineError`. What a loader of the version before inserts meanwhile is left to
    the next call: only the rows that are marked first are sealed, and deleted.
    """
    engine = engine.of(SIGHTINGS)
    if not any(engine.query(f"SELECT 1 FROM {table} LIMIT 1") for table in (SIGHTINGS, BY_INSTALL)):  # noqa: S608
        return
    for table in (SIGHTINGS, BY_INSTALL):  # what the queried replica lacks would be deleted unsealed
        engine.synchronize(table)
    ((number,),) = engine.query(f"SELECT count() FROM {SIGHTINGS}")  # noqa: S608
    waits = {**UNLOGGED, "mutations_sync": 2}
    if number:
        note(f"sealing {number} license reports")
        engine.command(f"ALTER TABLE {engine.altered(SIGHTINGS)} UPDATE in_state = 1 WHERE in_state = 0", waits)
        done, portion = 0, _portion(engine, ("", 0))
        while portion:
            _seal(engine, portion)
            done += len(portion)
            note(f"sealed the license reports of {done} installs")
            portion = _portion(engine, portion[-1])
        engine.command(f"ALTER TABLE {engine.altered(SIGHTINGS)} DELETE WHERE in_state = 1", waits)
        # The days of reports that it had before are kept until its rows are merged.
        engine.command(f"OPTIMIZE TABLE {engine.altered(state_rows.KEYS)} FINAL", UNLOGGED)
    engine.command(f"TRUNCATE TABLE {engine.altered(BY_INSTALL)}", UNLOGGED)


def _seal(engine: Engine, pairs: Sequence[Pair]) -> None:
    """Seal what the sightings say about these installs, except those that were erased, meanwhile also."""
    installs = {install for _, install in pairs}
    gone = install_data.retired(engine, "license", installs)
    found = dict(_states(engine, [pair for pair in pairs if pair[1] not in gone]))
    state_rows.insert(engine, found, secrets.token_hex(16))
    if late := install_data.retired(engine, "license", installs - gone):
        install_data.delete(engine, {state_rows.TABLE: late, state_rows.KEYS: late})


def _portion(engine: Engine, last: Pair) -> list[Pair]:
    """Return the next installs with marked sightings."""
    found = engine.query(
        f"SELECT DISTINCT module::String, install FROM {SIGHTINGS} WHERE in_state = 1 "  # noqa: S608
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
        for install, status, since in engine.query_each(_SINCE, "installs", found, {"module": module}):
            found[install].append(State({}, {status: since}))
        yield from (((module, install), merged(states)) for install, states in found.items())


def _of_day(first: int, last: int, *report: Any) -> State:
    status, key, source, version, received, country, *place = report
    said = Report(status, key, source, version, bool(received), country), Place(*place)
    return merged([of_report(first, *said), of_report(last, *said)])
