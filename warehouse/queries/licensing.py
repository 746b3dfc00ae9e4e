"""Queries the license plane: the latest license report of each install and module, and its flags."""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from core.fields import FIELDS, MODULE
from warehouse.engine import Engine
from warehouse.licensing.flags import Flag, by_pair, disputed, is_disputed, latest
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
# The number of installs whose status is looked up at once, until a page is full.
CHUNK, MOST_CHUNK = 2000, 100_000

Pair = tuple[str, int]  # module and install


Report = dict[str, Any]  # the latest report of an install and module
REVIEWS = ("disputed",)
_PARAMETERS = ("module", "status", "flag", "severity", "grade", "review", "key", "limit", "cursor")


# The latest report of each of these installs. Each status has its own first and last time, so that `since` needs no
# scan of the sightings.
_REPORTS = """
SELECT
    module, install,
    min(since_status) AS first_seen,
    max(until_status) AS last_seen,
    argMax((status_of, since_status, report), (until_status, status_of)) AS report_now,
    report_now.1 AS status, report_now.2 AS since,
    report_now.3.1 AS version, report_now.3.2 AS source, report_now.3.3 AS key, report_now.3.4 AS country
FROM (
    SELECT module, install, status AS status_of, min(first_seen) AS since_status, max(last_seen) AS until_status,
        argMaxMerge(latest) AS report
    FROM sightings_by_install
    WHERE module IN {modules:Array(String)} AND install IN {installs:Array(UInt64)}
    GROUP BY module, install, status_of
)
GROUP BY module, install
"""
# The status of the latest report, without reading the reports.
_STATUSES = """
SELECT module, install, argMax(status_of, (until_status, status_of)) AS status
FROM (
    SELECT module, install, status AS status_of, max(last_seen) AS until_status
    FROM sightings_by_install WHERE {conditions} GROUP BY module, install, status_of
)
GROUP BY module, install
"""
_CURSOR = re.compile(rf"(?P<module>{MODULE}):(?P<install>[0-9]{{1,20}})", re.ASCII)
_COLUMNS = "module", "install", "first_seen", "last_seen", "status", "since", "version", "source", "key", "country"


def installs(engine: Engine, args: Mapping[str, str], *, seconds: bool = False) -> dict[str, Any]:
    """Return a page of rows, ordered by module and pseudonym: `{"rows": [...], "next_cursor": str | None}`.

    Times are rounded to the day, or with `seconds` to the second. Exact times would let a reader link a row to a figure
    that has just changed. `args`: `module`, `status` (comma-separated; `!licensed` excludes), `flag` (`any` for all),
    `severity`, `grade`, `review` (`disputed`), `key` (a pseudonym), `limit` (default 100, at most 1000), `cursor` (from
    the previous page). Raises `QueryError` and `EngineError`.
    """
    engine = engine.as_user(ServerUser.LICENSING)
    asked = _Asked.of(args)
    found = list(islice(_matching(engine, asked), asked.limit + 1))
    more, found = len(found) > asked.limit, found[: asked.limit]
    reports = _reports(engine, found)
    rows = [reports[pair] for pair in found]
    addresses = _addresses(engine, rows)
    numbers = {install for _, install in found}
    statements, flagged = disputed(engine, numbers), _flags(engine, numbers)
    spelled = second if seconds else day
    cursor = f"{found[-1][0]}:{found[-1][1]}" if more else ""
    return {
        "rows": [
            _row(
                row,
                addresses.get(pair, ""),
                flagged.get(pair, []),
                spelled,
                disputed=is_disputed(pair, statements),
            )
            for row, pair in zip(rows, found, strict=True)
        ],
        "next_cursor": base64.urlsafe_b64encode(cursor.encode()).decode() if more else None,
    }


def _matching(engine: Engine, asked: "_Asked") -> Iterator[Pair]:
    """Yield the pairs of module and install that match, in order. It reads no more of the table than it must."""
    after, most = asked.after, asked.limit + 1 if asked.statuses == set(STATUSES) else CHUNK
    while True:
        conditions, parameters = asked.rows_after(after)
        chunk = engine.query(
            f"SELECT DISTINCT module, install FROM sightings_by_install WHERE {conditions} "  # noqa: S608
            f"ORDER BY module, install LIMIT {most}",
            parameters,
        )
        if chunk and asked.statuses != set(STATUSES):
            last = "(module < {last_module:String} OR (module = {last_module:String} AND install <= {last:UInt64}))"
            statuses = _STATUSES.format(conditions=f"{conditions} AND {last}")
            matching = engine.query(
                f"SELECT module, install FROM ({statuses}) WHERE status IN {{statuses:Array(String)}} "  # noqa: S608
                "ORDER BY module, install",
                {**parameters, "last_module": chunk[-1][0], "last": chunk[-1][1], "statuses": sorted(asked.statuses)},
            )
        else:
            matching = chunk
        yield from ((module, install) for module, install in matching)
        if len(chunk) < most:
            return
        after, most = (chunk[-1][0], chunk[-1][1]), min(most * 4, MOST_CHUNK)


def _reports(engine: Engine, pairs: Sequence[Pair]) -> dict[Pair, Report]:
    """Return the latest report of each pair."""
    reports: dict[Pair, Report] = {}
    wanted = set(pairs)
    by_module: dict[str, list[int]] = {}
    for module, install in pairs:
        by_module.setdefault(module, []).append(install)
    for module, numbers in by_module.items():
        for row in engine.query_each(_REPORTS, "installs", numbers, {"modules": [module]}):
            report = dict(zip(_COLUMNS, (row[0], row[1], row[2], row[3], *row[5:]), strict=True))
            if (row[0], row[1]) in wanted:
                reports[row[0], row[1]] = report
    return reports


def check(args: Mapping[str, str]) -> None:
    """Raise `QueryError` where `installs` would."""
    _Asked.of(args)


@dataclass(frozen=True)
class _Asked:
    """What a page is asked for: the pairs after a place in the order, of these statuses, and of a flag."""

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
            _after(args.get("cursor", "")), limit_of(args.get("limit", "")),
        )  # fmt: skip

    def rows_after(self, after: Pair) -> tuple[str, dict[str, Any]]:
        """Return the condition of the rows after a pair, in a form from which ClickHouse finds the place."""
        conditions = "module >= {after:String} AND (module > {after:String} OR install > {after_install:UInt64})"
        parameters: dict[str, Any] = {"after": after[0], "after_install": after[1]}
        if self.module:
            conditions += " AND module = {module:String}"
            parameters["module"] = self.module
        return conditions + self.where, {**parameters, **self.parameters}


def _after(cursor: str) -> Pair:
    if not cursor:
        return "", 0
    try:
        after = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor.encode()).decode())
    except (binascii.Error, ValueError):
        after = None
    if after is None or int(after["install"]) >= 1 << 64:
        raise QueryError("bad_format", "cursor", "must be a next_cursor from an answer")
    return after["module"], int(after["install"])


def _addresses(engine: Engine, rows: list[dict[str, Any]]) -> dict[tuple[str, int], str]:
    """Return the latest stored address of each row: of the connection, or for imports the reported one."""
    found = engine.query_each(
        "SELECT module, install, argMax(if(ip != '', ip, ip_claim), (time, beacon)) FROM license_sightings "
        "WHERE install IN {installs:Array(UInt64)} AND (ip != '' OR ip_claim != '') GROUP BY module, install",
        "installs",
        {row["install"] for row in rows},
    )
    return {(module, install): ip for module, install, ip in found}


def _flags(engine: Engine, installs: Collection[int]) -> Mapping[Pair, list[Flag]]:
    return by_pair(each for each in latest(engine, installs).values() if each.open)


def _row(row: Report, ip: str, flags: Sequence[Flag], spelled: Callable[[datetime], str], *, disputed: bool) -> Report:
    return {
        "id": f"{row['install']:016x}",
        "module": row["module"],
        "version": row["version"],
        "status": row["status"],
        "source": row["source"],
        "key": f"{row['key']:016x}" if row["key"] else None,
        "ip": ip or None,
        "country": row["country"] or None,
        "first_seen": spelled(row["first_seen"]),
        "last_seen": spelled(row["last_seen"]),
        "flags": [told(flag, spelled) for flag in flags],
        "review": "disputed" if disputed else None,
    }
