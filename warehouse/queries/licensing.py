"""Queries the license plane: the latest license report of each install and module, and its flags.

A flag is a reason to review a row, not a verdict. Its evidence states what was reported and infers nothing about
people.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from core.fields import FIELDS, MODULE
from warehouse.engine import Engine
from warehouse.queries.metrics import QueryError
from warehouse.server_users import ServerUser

STATUSES = next(field.choices for field in FIELDS if field.path == "license.status")
DEFAULT_LIMIT, MOST = 100, 1000
# The number of installs whose status is looked up at once, until a page is full.
CHUNK, MOST_CHUNK = 2000, 100_000

Pair = tuple[str, int]  # module and install


Report = dict[str, Any]  # the latest report of an install and module, with its `key_installs`


@dataclass(frozen=True)
class Rule:
    """A rule that flags a report. `evidence` is a template with the values of the report."""

    name: str
    severity: str
    holds: Callable[[Report], bool]
    evidence: str
    description: str
    statuses: tuple[str, ...] = STATUSES  # it holds for reports of no other status


_UNLICENSED, _LAPSED = ("unlicensed", "invalid"), ("expired", "suspended")
SHARED_KEY = "shared_key"
RULES: tuple[Rule, ...] = (
    Rule(
        "reported_unlicensed", "warning", lambda report: report["status"] in _UNLICENSED,
        "the module itself reports {status}, last on {last_seen}",
        "The module reports that it has no valid license. A new install may not have been given its key yet.",
        _UNLICENSED,
    ),
    Rule(
        "lapsed", "notice", lambda report: report["status"] in _LAPSED,
        "the module itself reports {status}, last on {last_seen}",
        "The license ran out or was suspended. A renewal may be under way.",
        _LAPSED,
    ),
    Rule(
        SHARED_KEY, "notice", lambda report: report["key_installs"] > 1,
        "{key_installs} installs of this module report the same license key",
        "Several installs report one license key. A moved or restored server has a new install id and the same key.",
    ),
)  # fmt: skip

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
    that has just changed. `args`: `module`, `status` (comma-separated; `!licensed` excludes), `flag`, `limit` (default
    100, at most 1000), `cursor` (from the previous page). Raises `QueryError` and `EngineError`.
    """
    engine = engine.as_user(ServerUser.LICENSING)
    asked = _Asked.of(args)
    found = list(islice(_matching(engine, asked), asked.limit + 1))
    more, found = len(found) > asked.limit, found[: asked.limit]
    reports = _reports(engine, found)
    rows = [reports[pair] for pair in found]
    addresses, disputed = _addresses(engine, rows), _disputed(engine, rows)
    spelled = _second if seconds else _day
    cursor = f"{found[-1][0]}:{found[-1][1]}" if more else ""
    return {
        "rows": [
            _row(row, addresses.get(pair, ""), pair in disputed, spelled) for row, pair in zip(rows, found, strict=True)
        ],
        "next_cursor": base64.urlsafe_b64encode(cursor.encode()).decode() if more else None,
    }


def flags(engine: Engine) -> dict[str, Any]:
    """Return the rules, each with the number of (module, install) pairs that it flags now."""
    reader = engine.as_user(ServerUser.LICENSING)
    statuses = _STATUSES.format(conditions="1")
    by_status = dict(reader.query(f"SELECT status, count() FROM ({statuses}) GROUP BY status"))  # noqa: S608
    return {
        "rows": [
            {
                "rule": rule.name,
                "severity": rule.severity,
                "description": rule.description,
                "installs": len(_sharing(reader, ""))
                if rule.name == SHARED_KEY
                else sum(by_status.get(status, 0) for status in rule.statuses),
            }
            for rule in RULES
        ]
    }


def _matching(engine: Engine, asked: "_Asked") -> Iterator[Pair]:
    """Yield the pairs of module and install that match, in order. It reads no more of the table than it must."""
    if asked.flag == SHARED_KEY:
        pairs = [pair for pair in _sharing(engine, asked.module) if pair > asked.after]
        for first in range(0, len(pairs), MOST):
            part = pairs[first : first + MOST]
            reports = _reports(engine, part, keys=False) if asked.statuses != set(STATUSES) else {}
            yield from (pair for pair in part if not reports or reports[pair]["status"] in asked.statuses)
        return
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


def _sharing(engine: Engine, module: str) -> list[Pair]:
    """Return the pairs, in order, whose key several installs of the module have in their latest report."""
    where = "WHERE module = {module:String}" if module else ""
    ever = f"SELECT module, key FROM license_keys {where} GROUP BY module, key HAVING uniqExact(install) > 1"  # noqa: S608
    holders = (
        "SELECT module, key, install, max(last_seen) AS seen FROM license_keys "  # noqa: S608
        f"WHERE (module, key) GLOBAL IN ({ever}) GROUP BY module, key, install"
    )
    now = (
        "SELECT module, install, max(last_seen) AS seen FROM sightings_by_install "  # noqa: S608
        f"WHERE (module, install) GLOBAL IN (SELECT module, install FROM ({holders})) GROUP BY module, install"
    )
    found = engine.query(
        "SELECT module, groupArray(install) AS installs "  # noqa: S608
        f"FROM (SELECT * FROM ({holders}) AS holders ANY INNER JOIN ({now}) AS now USING (module, install, seen)) "
        "GROUP BY module, key HAVING length(installs) > 1",
        {"module": module} if module else {},
    )
    return sorted((name, install) for name, installs in found for install in installs)


def _reports(engine: Engine, pairs: Sequence[Pair], *, keys: bool = True) -> dict[Pair, Report]:
    """Return the latest report of each pair. With `keys`, each says how many installs report its key now."""
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
    if keys:
        numbers_of = _key_installs(engine, reports)
        for report in reports.values():
            report["key_installs"] = numbers_of[report["module"], report["key"]] if report["key"] else 0
    return reports


def _key_installs(engine: Engine, reports: Mapping[Pair, Report]) -> Counter[tuple[str, int]]:
    """Return how many installs have each of these keys in their latest report."""
    by_module: dict[str, set[int]] = {}
    for report in reports.values():
        if report["key"]:
            by_module.setdefault(report["module"], set()).add(report["key"])
    holders: list[Pair] = []
    for module, keys in by_module.items():
        sql = "SELECT DISTINCT module, install FROM license_keys WHERE module = {module:String} AND key IN "
        holders += engine.query_each(sql + "{keys:Array(UInt64)}", "keys", keys, {"module": module})
    others = _reports(engine, [pair for pair in holders if pair not in reports], keys=False)
    return Counter((report["module"], report["key"]) for report in (*reports.values(), *others.values()))


@dataclass(frozen=True)
class _Asked:
    """What a page is asked for: the pairs after a place in the order, of these statuses, and of a flag."""

    module: str
    statuses: frozenset[str]
    flag: str
    after: Pair
    limit: int

    @classmethod
    def of(cls, args: Mapping[str, str]) -> "_Asked":
        """Read the parameters. Raises `QueryError`."""
        for name in args:
            if name not in ("module", "status", "flag", "limit", "cursor"):
                raise QueryError("unknown_field", "query", "the parameters are module, status, flag, limit, cursor")
        module = args.get("module", "")
        if len(module) > 64 or (module and not module.isprintable()):
            raise QueryError("bad_format", "module", "must be printable, with at most 64 characters")
        statuses = frozenset(STATUSES)
        if status := args.get("status"):
            names = set(status.removeprefix("!").split(","))
            if not names <= statuses:
                raise QueryError("bad_format", "status", f"must be one of {', '.join(STATUSES)}")
            statuses = statuses - names if status.startswith("!") else frozenset(names)
        flag = args.get("flag", "")
        rules = {rule.name: rule for rule in RULES}
        if flag and flag not in rules:
            raise QueryError("bad_format", "flag", f"must be one of {', '.join(rules)}")
        if flag:
            statuses &= set(rules[flag].statuses)
        return cls(module, statuses, flag, _after(args.get("cursor", "")), _limit(args.get("limit", "")))

    def rows_after(self, after: Pair) -> tuple[str, dict[str, Any]]:
        """Return the condition of the rows after a pair, in a form from which ClickHouse finds the place."""
        conditions = "module >= {after:String} AND (module > {after:String} OR install > {after_install:UInt64})"
        parameters: dict[str, Any] = {"after": after[0], "after_install": after[1]}
        if self.module:
            conditions += " AND module = {module:String}"
            parameters["module"] = self.module
        return conditions, parameters


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


def _limit(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise QueryError("out_of_range", "limit", f"must be 1 to {MOST}")
    return int(text or DEFAULT_LIMIT)


def _addresses(engine: Engine, rows: list[dict[str, Any]]) -> dict[tuple[str, int], str]:
    """Return the latest stored address of each row: of the connection, or for imports the reported one."""
    found = engine.query_each(
        "SELECT module, install, argMax(if(ip != '', ip, ip_claim), (time, beacon)) FROM license_sightings "
        "WHERE install IN {installs:Array(UInt64)} AND (ip != '' OR ip_claim != '') GROUP BY module, install",
        "installs",
        {row["install"] for row in rows},
    )
    return {(module, install): ip for module, install, ip in found}


def _disputed(engine: Engine, rows: list[dict[str, Any]]) -> set[tuple[str, int]]:
    """Return the (module, install) pairs of the rows that have an owner's statement."""
    found = engine.query_each(
        "SELECT DISTINCT module, install FROM owner_statements WHERE install IN {installs:Array(UInt64)}",
        "installs",
        {row["install"] for row in rows},
    )
    stated = set(found)
    pairs = {(row["module"], row["install"]) for row in rows}
    return {(module, install) for module, install in pairs if stated & {(module, install), ("", install)}}


def _row(row: dict[str, Any], ip: str, disputed: bool, spelled: Callable[[datetime], str]) -> dict[str, Any]:
    told = {**row, "last_seen": spelled(row["last_seen"])}
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
        "last_seen": told["last_seen"],
        "flags": [
            {
                "rule": rule.name,
                "severity": rule.severity,
                "since": spelled(row["since"]),
                "evidence": rule.evidence.format(**told),
            }
            for rule in RULES
            if rule.holds(row)
        ],
        "review": "disputed" if disputed else None,
    }


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
