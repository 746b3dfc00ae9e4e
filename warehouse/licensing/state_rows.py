"""Reads and writes the sealed states of installs in ClickHouse."""

import base64
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from warehouse.engine import PORTION, Engine
from warehouse.licensing import states_key
from warehouse.licensing.state_codec import LEAST, Newer, Unreadable
from warehouse.licensing.states import ADDRESS_DAYS, State, merged, times
from warehouse.statement_settings import UNLOGGED

Pair = tuple[str, int]  # module and install

TABLE = "license_states"
# Which installs have reported a key, so that the holders of a key are found.
KEYS = "license_keys"
# A pass that writes all states anew is due when a row is older.
DUE_HOURS = 20
_SECOND = "%Y-%m-%d %H:%M:%S"


class ReadRows(NamedTuple):
    """The rows that a pass has read, by the hour in which they were written.

    `before` is an hour earlier than the start of the pass, because an insert may take that long. Rows up to `newest`
    that are ahead of the clock were written while it was wrong.
    """

    before: datetime
    newest: datetime


def insert(engine: Engine, states: Mapping[Pair, State], token: str, least: int = LEAST) -> None:
    """Insert a row for each install, of at least `least` bytes, and its keys. Raises `EngineError`.

    A key has the day of the insert, not that of its report.
    """
    seal = engine.seal
    lines = [
        msgspec.json.encode(
            {"module": pair[0], "install": pair[1], "sealed": base64.b64encode(seal.seal(*pair, state, least)).decode()}
        )
        for pair, state in sorted(states.items(), key=lambda each: each[0])
    ]
    if lines:
        engine.of(TABLE).insert(TABLE, lines, token)
    today = f"{datetime.now(UTC):%Y-%m-%d} 00:00:00.000"
    keys = {(*pair, report.key) for pair, state in states.items() for report, _ in state.seen if report.key}
    lines = [
        msgspec.json.encode({"module": module, "key": key, "install": install, "last_seen": today})
        for module, install, key in sorted(keys)
    ]
    if lines:
        engine.of(KEYS).insert(KEYS, lines, f"{token} {KEYS}")


def read(engine: Engine, pairs: Collection[Pair], unreadable: set[Pair] | None = None) -> dict[Pair, State]:
    """Return the states of these installs; one without rows is missing. Raises `EngineError`.

    A row that cannot be read is left out, and its install added to `unreadable`. Raises `Unreadable` for a row of a
    newer version, and without `unreadable` if no row can be read in a database that belongs to another key.
    """
    found: dict[Pair, list[State]] = {}
    left_out: set[Pair] = set()
    seal = engine.seal
    for module, installs in by_module(pairs).items():
        for install, sealed in engine.query_each(
            f"SELECT install, sealed FROM {TABLE} WHERE module = {{module:String}} "  # noqa: S608
            "AND install IN {installs:Array(UInt64)}",
            "installs",
            installs,
            {"module": module},
        ):
            try:
                state = seal.unseal(module, install, base64.b64decode(sealed))
            except Newer:
                raise
            except Unreadable:
                left_out.add((module, install))
            else:
                found.setdefault((module, install), []).append(state)
    if unreadable is not None:
        unreadable |= left_out
    elif left_out and not found and states_key.recorded(engine) != seal.fingerprint:
        raise states_key.other_key(engine)
    return {pair: states[0] if len(states) == 1 else merged(states) for pair, states in found.items()}


def after(engine: Engine, pair: Pair, most: int) -> list[Pair]:
    """Return the next installs in the order of the table, at most `most`. Raises `EngineError`."""
    return [
        (module, install)
        for module, install in engine.query(
            f"SELECT DISTINCT module, install FROM {TABLE} "  # noqa: S608
            "WHERE module >= {module:String} AND (module > {module:String} OR install > {install:UInt64}) "
            "ORDER BY module, install LIMIT {most:UInt32}",
            {"module": pair[0], "install": pair[1], "most": most},
        )
    ]


def modules_of(engine: Engine, installs: Collection[int]) -> list[Pair]:
    """Return these installs with each module that they have. Raises `EngineError`."""
    sql = f"SELECT DISTINCT module, install FROM {TABLE} WHERE install IN {{installs:Array(UInt64)}}"  # noqa: S608
    return [(module, install) for module, install in engine.query_each(sql, "installs", installs)]


def of_module(engine: Engine, module: str) -> list[Pair]:
    """Return all installs of a module. Raises `EngineError`."""
    found = engine.query(
        f"SELECT DISTINCT install FROM {TABLE} WHERE module = {{module:String}}",  # noqa: S608
        {"module": module},
    )
    return [(module, install) for (install,) in found]


def reports(engine: Engine, installs: Collection[int]) -> list[dict[str, Any]]:
    """Return the days of each report of these installs, by module, as JSON values. Raises `EngineError`.

    `status_since` is when the install first reported the status: it may be before the days that are kept.
    """
    engine = engine.of(TABLE)
    found = read(engine, modules_of(engine, installs))
    return [
        {
            "module": module,
            "install": install,
            **report._asdict(),
            "ip": place.ip,
            "ip_claim": place.claim,
            "first": _moment(first),
            "last": _moment(last),
            "status_since": _moment(state.since[report.status]),
        }
        for (module, install), state in sorted(found.items(), key=lambda each: each[0])
        for (report, place), days in sorted(state.seen.items())
        for first, last in sorted(times(days))
    ]


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def read_by_pass(engine: Engine) -> ReadRows | None:
    """Return which rows a pass that begins now may delete when it has read them, None if no pass is due.

    Raises `EngineError`.
    """
    ((due, before, newest),) = engine.query(
        f"SELECT count() > 0 AND (min(written) < now() - INTERVAL {DUE_HOURS} HOUR "  # noqa: S608
        "OR max(written) > now() + INTERVAL 1 HOUR), "
        f"toStartOfHour(now()) - INTERVAL 1 HOUR, max(written) FROM {TABLE}"
    )
    return ReadRows(before, newest) if due else None


def delete(engine: Engine, read: ReadRows, unreadable: Collection[Pair] = ()) -> None:
    """Delete the rows that a pass has read. Does not wait for it. Raises `EngineError`.

    The rows of `unreadable` installs stay for as long as addresses are kept, which they may have; of too many installs
    to name, all rows stay.
    """
    # What came during the pass is not ahead, however long the pass took.
    ((ahead,),) = engine.of(TABLE).query("SELECT toStartOfHour(now()) + INTERVAL 1 HOUR")
    written_ahead = f"written > '{ahead:{_SECOND}}' AND written <= '{read.newest:{_SECOND}}'"
    condition = f"(written < '{read.before:{_SECOND}}' OR {written_ahead})"
    if installs := {install for _, install in unreadable}:
        named = f"install NOT IN ({', '.join(map(str, sorted(installs)))})" if len(installs) <= PORTION else "0"
        oldest = read.before - timedelta(days=ADDRESS_DAYS)
        condition += f" AND ({named} OR written < '{oldest:{_SECOND}}')"
    statement = f"ALTER TABLE {engine.of(TABLE).altered(TABLE)} DELETE WHERE {condition}"
    engine.of(TABLE).command(statement, {**UNLOGGED, "mutations_sync": 0})


def by_module(pairs: Iterable[tuple[str, int]]) -> Mapping[str, list[int]]:
    """Return the numbers of each module."""
    found: dict[str, list[int]] = {}
    for module, number in pairs:
        found.setdefault(module, []).append(number)
    return found
