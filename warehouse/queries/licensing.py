"""Queries the license plane: the latest license report of each install and module, and its flags.

A flag is a reason to review a row, not a verdict. Its evidence states what was reported and infers nothing about
people.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.fields import FIELDS, MODULE
from warehouse.engine import Engine
from warehouse.queries.metrics import QueryError
from warehouse.server_users import ServerUser

STATUSES = next(field.choices for field in FIELDS if field.path == "license.status")
DEFAULT_LIMIT, MOST = 100, 1000


@dataclass(frozen=True)
class Rule:
    """A rule that flags rows. `when` is SQL over the columns of a row; `evidence` is a template with these columns."""

    name: str
    severity: str
    when: str
    evidence: str
    description: str


RULES: tuple[Rule, ...] = (
    Rule(
        "reported_unlicensed", "warning", "status IN ('unlicensed', 'invalid')",
        "the module itself reports {status}, last on {last_seen}",
        "The module reports that it has no valid license. A new install may not have been given its key yet.",
    ),
    Rule(
        "lapsed", "notice", "status IN ('expired', 'suspended')",
        "the module itself reports {status}, last on {last_seen}",
        "The license ran out or was suspended. A renewal may be under way.",
    ),
    Rule(
        "shared_key", "notice", "key != 0 AND key_installs > 1",
        "{key_installs} installs of this module report the same license key",
        "Several installs report one license key. A moved or restored server has a new install id and the same key.",
    ),
)  # fmt: skip

# The latest report of each (module, install). Each status has its own first and last time, so that `since` needs no
# scan of the sightings.
_INSTALLS = """
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
    GROUP BY module, install, status_of
)
GROUP BY module, install
"""
_FLAGS = ", ".join(f"if({rule.when}, '{rule.name}', '')" for rule in RULES)
_FLAGGED = f"""
SELECT installs.*, key_installs, arrayFilter(flag -> flag != '', [{_FLAGS}]) AS flags
FROM ({_INSTALLS}) AS installs
LEFT JOIN (
    SELECT module, key, uniqExact(install) AS key_installs FROM ({_INSTALLS}) WHERE key != 0 GROUP BY module, key
) AS shared ON installs.module = shared.module AND installs.key = shared.key
"""  # noqa: S608
_CURSOR = re.compile(rf"(?P<module>{MODULE}):(?P<install>[0-9]{{1,20}})", re.ASCII)
_COLUMNS = "module", "install", "first_seen", "last_seen", "status", "since", "version", "source", "key", "country"


def installs(engine: Engine, args: Mapping[str, str], *, seconds: bool = False) -> dict[str, Any]:
    """Return a page of rows, ordered by module and pseudonym: `{"rows": [...], "next_cursor": str | None}`.

    Times are rounded to the day, or with `seconds` to the second. Exact times would let a reader link a row to a figure
    that has just changed. `args`: `module`, `status` (comma-separated; `!licensed` excludes), `flag`, `limit` (default
    100, at most 1000), `cursor` (from the previous page). Raises `QueryError` and `EngineError`.
    """
    engine = engine.as_user(ServerUser.LICENSING)
    conditions, parameters = _conditions(args)
    limit = _limit(args.get("limit", ""))
    columns = ", ".join(f"installs.{column} AS {column}" for column in _COLUMNS)
    found = engine.query(
        f"SELECT {columns}, key_installs, flags FROM ({_FLAGGED}) AS installs "  # noqa: S608
        f"WHERE {' AND '.join(conditions)} ORDER BY module, install LIMIT {limit + 1}",
        parameters,
    )
    rows = [dict(zip((*_COLUMNS, "key_installs", "flags"), row, strict=True)) for row in found]
    more = len(rows) > limit
    rows = rows[:limit]
    addresses = _addresses(engine, rows)
    disputed = _disputed(engine, rows)
    spelled = _second if seconds else _day
    cursor = f"{rows[-1]['module']}:{rows[-1]['install']}" if more else ""
    pairs = [(row["module"], row["install"]) for row in rows]
    return {
        "rows": [
            _row(row, addresses.get(pair, ""), pair in disputed, spelled) for row, pair in zip(rows, pairs, strict=True)
        ],
        "next_cursor": base64.urlsafe_b64encode(cursor.encode()).decode() if more else None,
    }


def flags(engine: Engine) -> dict[str, Any]:
    """Return the rules, each with the number of (module, install) pairs that it flags now."""
    reader = engine.as_user(ServerUser.LICENSING)
    counts = dict(reader.query(f"SELECT arrayJoin(flags) AS flag, count() FROM ({_FLAGGED}) GROUP BY flag"))  # noqa: S608
    return {
        "rows": [
            {
                "rule": rule.name,
                "severity": rule.severity,
                "description": rule.description,
                "installs": counts.get(rule.name, 0),
            }
            for rule in RULES
        ]
    }


def _conditions(args: Mapping[str, str]) -> tuple[list[str], dict[str, Any]]:
    for name in args:
        if name not in ("module", "status", "flag", "limit", "cursor"):
            raise QueryError("unknown_field", "query", "the parameters are module, status, flag, limit, cursor")
    conditions: list[str] = ["1"]
    parameters: dict[str, Any] = {}
    if module := args.get("module"):
        if len(module) > 64 or not module.isprintable():
            raise QueryError("bad_format", "module", "must be printable, with at most 64 characters")
        conditions.append("module = {module:String}")
        parameters["module"] = module
    if status := args.get("status"):
        names = status.removeprefix("!").split(",")
        if not set(names) <= set(STATUSES):
            raise QueryError("bad_format", "status", f"must be one of {', '.join(STATUSES)}")
        conditions.append(f"status {'NOT IN' if status.startswith('!') else 'IN'} {{status:Array(String)}}")
        parameters["status"] = names
    if flag := args.get("flag"):
        if flag not in {rule.name for rule in RULES}:
            raise QueryError("bad_format", "flag", f"must be one of {', '.join(rule.name for rule in RULES)}")
        conditions.append("has(flags, {flag:String})")
        parameters["flag"] = flag
    if cursor := args.get("cursor"):
        try:
            after = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor.encode()).decode())
        except (binascii.Error, ValueError):
            after = None
        if after is None or int(after["install"]) >= 1 << 64:
            raise QueryError("bad_format", "cursor", "must be a next_cursor from an answer")
        parameters |= {"after_module": after["module"], "after_install": int(after["install"])}
        conditions.append("(module, install) > ({after_module:String}, {after_install:UInt64})")
    return conditions, parameters


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
            if rule.name in row["flags"]
        ],
        "review": "disputed" if disputed else None,
    }


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
