"""Queries the license plane: the latest license report of each install and module, and its flags.

What an install reported is sealed. A status is found by unsealing, a bounded number of installs for each request.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.fields import FIELDS, MODULE
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.flags import Flag, by_pair, disputed, is_disputed
from warehouse.licensing.flags import latest as latest_flags
from warehouse.licensing.state_reports import Latest, latest
from warehouse.licensing.state_rows import Pair
from warehouse.queries import cursors
from warehouse.queries.license_flags import (
    CURRENT_FLAGS,
    choice,
    day,
    flag_conditions,
    limit_of,
    module_of,
    pseudonym,
    refuse_unknown,
    second,
    told,
)
from warehouse.queries.metrics import QueryError
from warehouse.server_users import ServerUser

STATUSES = next(field.choices for field in FIELDS if field.path == "license.status")
# Installs that one request unseals at most: some 0.2 s of CPU.
MOST_UNSEALED = 2000

Row = dict[str, Any]
REVIEWS = ("disputed",)
_PARAMETERS = ("module", "status", "flag", "severity", "grade", "review", "key", "limit", "cursor")

_PLACE = re.compile(rf"(?P<module>{MODULE}):(?P<install>[0-9]{{1,20}})", re.ASCII)


def installs(engine: Engine, args: Mapping[str, str], *, seconds: bool = False) -> dict[str, Any]:
    """Return a page of rows, ordered by module and pseudonym: `{"rows": [...], "next_cursor": str}`.

    Times are rounded to the day, or with `seconds` to the second. Exact times would let a reader link a row to a figure
    that has just changed. `args`: `module`, `status` (comma-separated; `!licensed` excludes), `flag` (`any` for all),
    `severity`, `grade`, `review` (`disputed`), `key` (a pseudonym), `limit` (default 100, at most 1000), `cursor` (from
    the previous page, with the same filters). The last page has no cursor; another may have fewer rows than `limit`,
    even none. Raises `QueryError`, `EngineError`, and `Unreadable` without the key of the states.
    """
    engine = engine.as_user(ServerUser.LICENSING)
    found, last = _matching(engine, _Asked.of(args))
    numbers = {install for _, install in found}
    statements, flagged = disputed(engine, numbers), _flags(engine, numbers)
    spelled = second if seconds else day
    return {
        "rows": [
            _row(pair, report, flagged.get(pair, []), spelled, disputed=is_disputed(pair, statements))
            for pair, report in found.items()
        ],
    } | ({"next_cursor": cursors.cursor("installs", args, last)} if last else {})


def any_install(engine: Engine) -> bool:
    """Return whether any install has ever reported a license. Raises `EngineError`."""
    return bool(state_rows.after(engine.as_user(ServerUser.LICENSING), ("", 0), 1))


def _matching(engine: Engine, asked: "_Asked") -> tuple[dict[Pair, Latest], Pair | None]:
    """Return the latest reports of the next installs that match, in order, and after which install to go on.

    It ends after `MOST_UNSEALED` installs, whether the page is full or not. None: there are no others.
    """
    found: dict[Pair, Latest] = {}
    after, left, portion = asked.after, MOST_UNSEALED, asked.limit + 1
    while left:
        portion = min(portion, left)
        pairs = _pairs(engine, asked, after, portion)
        reports = _reports(engine, pairs)
        found |= {pair: reports[pair] for pair in pairs if pair in reports and asked.has(reports[pair])}
        if len(found) > asked.limit:
            shown = list(found)[: asked.limit]
            return {pair: found[pair] for pair in shown}, shown[-1]
        if len(pairs) < portion:
            return found, None
        after, left, portion = pairs[-1], left - portion, portion * 2
    return found, after


def _pairs(engine: Engine, asked: "_Asked", after: Pair, most: int) -> list[Pair]:
    """Return the next installs after one, at most `most`, whatever their status."""
    conditions, parameters = asked.rows_after(after)
    return [
        (module, install)
        for module, install in engine.query(
            f"SELECT DISTINCT module, install FROM {state_rows.TABLE} WHERE {conditions} "  # noqa: S608
            "ORDER BY module, install LIMIT {most:UInt32}",
            {**parameters, "most": most},
        )
    ]


def _reports(engine: Engine, pairs: Collection[Pair]) -> dict[Pair, Latest]:
    """Return the latest report of each install that still has one."""
    now = datetime.now(UTC)
    states = state_rows.read(engine, pairs) if pairs else {}
    return {pair: report for pair, state in states.items() if (report := latest(state, now))}


def check(args: Mapping[str, str]) -> None:
    """Raise `QueryError` where `installs` would."""
    _Asked.of(args)


@dataclass(frozen=True)
class _Asked:
    """What a page is asked for: the installs after a place in the order, of these statuses, and of a flag."""

    module: str
    statuses: frozenset[str]
    where: str  # further conditions on the pair, with their parameters
    parameters: Mapping[str, Any]
    after: Pair
    limit: int

    @classmethod
    def of(cls, args: Mapping[str, str]) -> "_Asked":
        """Read the parameters. Raises `QueryError`."""
        refuse_unknown(args, _PARAMETERS)
        statuses = frozenset(STATUSES)
        if status := args.get("status"):
            names = set(status.removeprefix("!").split(","))
            if not names <= statuses:
                raise QueryError("bad_format", "status", f"must be one of {', '.join(STATUSES)}")
            statuses = statuses - names if status.startswith("!") else frozenset(names)
        flagged, parameters = flag_conditions(args)
        where = []
        if flagged:
            current = f"SELECT module, install FROM ({CURRENT_FLAGS}) WHERE {' AND '.join(flagged)}"  # noqa: S608
            where.append(f"(module, install) IN ({current})")
        if choice(args, "review", REVIEWS):
            where.append(
                "((module, install) IN (SELECT module, install FROM owner_statements) "
                "OR install IN (SELECT install FROM owner_statements WHERE module = ''))"
            )
        if key := args.get("key", ""):
            parameters["key"] = pseudonym(key, "key")
            where.append("(module, install) IN (SELECT module, install FROM license_keys WHERE key IN ({key:UInt64}))")
        return cls(
            module_of(args), statuses, "".join(f" AND {each}" for each in where), parameters,
            _after(args), limit_of(args.get("limit", "")),
        )  # fmt: skip

    def has(self, report: Latest) -> bool:
        """Return whether an install with this latest report matches."""
        return report.report.status in self.statuses

    def rows_after(self, after: Pair) -> tuple[str, dict[str, Any]]:
        """Return the condition of the rows after a pair, in a form from which ClickHouse finds the place."""
        conditions = "module >= {after:String} AND (module > {after:String} OR install > {after_install:UInt64})"
        parameters: dict[str, Any] = {"after": after[0], "after_install": after[1]}
        if self.module:
            conditions += " AND module = {module:String}"
            parameters["module"] = self.module
        return conditions + self.where, {**parameters, **self.parameters}


def _after(args: Mapping[str, str]) -> Pair:
    place = cursors.place("installs", args)
    if place is None:
        return "", 0
    after = _PLACE.fullmatch(":".join(place))
    if after is None or int(after["install"]) >= 1 << 64:
        cursors.refuse()
    return after["module"], int(after["install"])


def _flags(engine: Engine, installs: Collection[int]) -> Mapping[Pair, list[Flag]]:
    return by_pair(each for each in latest_flags(engine, installs).values() if each.open)


def _row(
    pair: Pair, latest: Latest, flags: Sequence[Flag], spelled: Callable[[datetime], str], *, disputed: bool
) -> Row:
    module, install = pair
    report = latest.report
    return {
        "id": f"{install:016x}",
        "module": module,
        "version": report.version,
        "status": report.status,
        "source": report.source,
        "key": f"{report.key:016x}" if report.key else None,
        "ip": latest.ip or None,
        "country": report.country or None,
        "first_seen": spelled(latest.first_seen),
        "last_seen": spelled(latest.last_seen),
        "flags": [told(flag, spelled) for flag in flags],
        "review": "disputed" if disputed else None,
    }
