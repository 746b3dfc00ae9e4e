"""Queries the flags of the license plane: the rules, the flags that hold now, their history, and the incidents.

A flag is a reason to review an install, not a verdict. Its evidence states what was seen and who says so.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.licensing.findings import GRADES, SEVERITIES
from warehouse.licensing.flags import Flag, flag_of
from warehouse.licensing.rules import BY_NAME, RULES
from warehouse.queries import cursors
from warehouse.queries.metrics import QueryError
from warehouse.server_users import ServerUser

DEFAULT_LIMIT, MOST = 100, 1000
ANY = "any"
# Names that rules had in earlier versions, as filters.
ALIASES = {"reported_unlicensed": "unlicensed"}
STATES = ("open", "disputed")
MOST_HISTORY = 1000
Row = dict[str, Any]
Spelled = Callable[[datetime], str]

_VALUES = "event, at, since, until, key, severity, grade, reach, evidence, pieces, why"
# The newest revision of each flag that holds.
CURRENT_FLAGS = (
    f"SELECT module, install, rule, max(revision) AS newest, argMax(({_VALUES}), revision) AS now "  # noqa: S608
    "FROM license_flags GROUP BY module, install, rule HAVING now.1 != 'cleared'"
)  # fmt: skip
_PARAMETERS = ("module", "flag", "severity", "grade", "state", "id", "key", "limit", "cursor")
# Flags about a key have a row for each install in question: they are one flag with several installs.
_SUBJECTS = f"""
SELECT module, rule, now.5 AS key, if(now.5 = 0, install, 0) AS subject, count() AS installs,
    argMax((install, newest, now), install) AS flag, min(now.3) AS since
FROM ({CURRENT_FLAGS}) WHERE {{where}}
GROUP BY module, rule, key, subject
HAVING (module, rule, key, subject) >
    ({{after_module:String}}, {{after_rule:String}}, {{after_key:UInt64}}, {{after:UInt64}})
ORDER BY module, rule, key, subject LIMIT {{limit:UInt32}}
"""  # noqa: S608


def flags(engine: Engine, args: Mapping[str, str], *, seconds: bool = False) -> Row:
    """Return the rules with the number of installs that each flags, a page of flags, and the incidents.

    `{"rows": [rule, ...], "flags": [...], "installs": int, "next_cursor": str, "incidents": [...]}`; the last page has
    no cursor. With `id` also `history`, the events of that install's flags. `installs` are those of the flags on all
    pages, each once. `args`: `module`, `flag`, `severity`, `grade`, `state`, `id` and `key` (pseudonyms), `limit`,
    `cursor`. Raises `QueryError` and `EngineError`.
    """
    refuse_unknown(args, _PARAMETERS)
    reader = engine.as_user(ServerUser.LICENSING)
    spelled = second if seconds else day
    conditions, parameters = flag_conditions(args)
    if module := module_of(args):
        conditions.append("module = {module:String}")
        parameters["module"] = module
    if state := choice(args, "state", STATES):
        conditions.append(f"now.1 {'=' if state == 'disputed' else '!='} 'paused'")
    if id := args.get("id", ""):
        conditions.append("install IN ({id:UInt64})")
        parameters["id"] = pseudonym(id, "id")
    if key := args.get("key", ""):
        conditions.append("now.5 = {key:UInt64}")
        parameters["key"] = pseudonym(key, "key")
    limit, where = limit_of(args.get("limit", "")), " AND ".join(conditions) or "1"
    ((installs,),) = reader.query(f"SELECT uniqExact(install) FROM ({CURRENT_FLAGS}) WHERE {where}", parameters)  # noqa: S608
    found = reader.query(
        _SUBJECTS.replace("{where}", where),
        {**parameters, **_after(args), "limit": limit + 1},
    )
    more, found = len(found) > limit, found[:limit]
    return {
        "rows": _rules(reader),
        "flags": [_flag(row, spelled) for row in found],
        "installs": installs,
        "incidents": _incidents(reader, spelled),
        **({"next_cursor": cursors.cursor("flags", args, found[-1][:4])} if more else {}),
        **({"history": _history(reader, parameters["id"], spelled)} if id else {}),
    }


def _rules(reader: Engine) -> list[Row]:
    counts = dict(reader.query(f"SELECT rule, count() FROM ({CURRENT_FLAGS}) GROUP BY rule"))  # noqa: S608
    return [
        {
            "rule": rule.name,
            "severity": rule.severity,
            "description": rule.description,
            "innocent": list(rule.innocent),
            "installs": counts.get(rule.name, 0),
        }
        for rule in RULES
    ]


def _flag(row: Sequence[Any], spelled: Spelled) -> Row:
    module, rule, key, subject, installs, (install, revision, now), since = row
    flag = flag_of([module, install, rule, revision, *now])
    return {
        **told(flag, spelled),
        "module": module,
        "id": f"{subject:016x}" if subject else None,
        "key": f"{key:016x}" if key else None,
        "installs": installs,
        "reach": flag.reach,
        "since": spelled(since.replace(tzinfo=UTC)),
        "changed": spelled(flag.at),
    }


def _history(reader: Engine, install: int, spelled: Spelled) -> list[Row]:
    found = reader.query(
        f"SELECT module, install, rule, revision, {_VALUES} "  # noqa: S608
        "FROM license_flags FINAL WHERE install IN ({id:UInt64}) ORDER BY at DESC, module, rule, revision DESC "
        "LIMIT {most:UInt32}",
        {"id": install, "most": MOST_HISTORY},
    )
    return [
        {
            "at": spelled(flag.at), "module": flag.module, "rule": flag.rule, "event": flag.event, "why": flag.why,
            "severity": flag.severity, "grade": flag.grade, "since": spelled(flag.since), "evidence": flag.evidence,
        }
        for flag in map(flag_of, found)
    ]  # fmt: skip


def _incidents(reader: Engine, spelled: Spelled) -> list[Row]:
    found = reader.query(
        "SELECT module, since, argMax(tuple(until, affected, installs), written) AS now FROM license_incidents "
        "GROUP BY module, since ORDER BY since DESC, module LIMIT 100"
    )
    return [
        {
            "module": module,
            "since": spelled(since.replace(tzinfo=UTC)),
            "until": spelled(until.replace(tzinfo=UTC)) if until else None,
            "affected": affected,
            "installs": installs,
        }
        for module, since, (until, affected, installs) in found
    ]


def told(flag: Flag, spelled: Spelled) -> Row:
    """Return a flag as the read API tells it."""
    return {
        "rule": flag.rule,
        "case": str(Subject(flag.module, 0 if flag.key else flag.install, flag.key)),
        "severity": flag.severity,
        "grade": flag.grade,
        "since": spelled(flag.since),
        "evidence": flag.evidence,
        "pieces": msgspec.json.decode(flag.pieces),
        "innocent": list(BY_NAME[flag.rule].innocent) if flag.rule in BY_NAME else [],
        "state": "disputed" if flag.paused else "open",
    }


def flag_conditions(args: Mapping[str, str]) -> tuple[list[str], dict[str, Any]]:
    """Return the conditions on `CURRENT_FLAGS` that the filters mean, and their parameters. Raises `QueryError`."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if flag := choice(args, "flag", (*BY_NAME, *ALIASES, ANY)):
        parameters["rule"] = ALIASES.get(flag, flag)
        conditions.append("1" if flag == ANY else "rule = {rule:String}")
    if severity := choice(args, "severity", SEVERITIES):
        conditions.append("now.6 = {severity:String}")
        parameters["severity"] = severity
    if grade := choice(args, "grade", GRADES):
        conditions.append("now.7 = {grade:String}")
        parameters["grade"] = grade
    return conditions, parameters


def refuse_unknown(args: Mapping[str, str], known: Sequence[str]) -> None:
    """Raise `QueryError` for a parameter that does not exist."""
    for name in args:
        if name not in known:
            raise QueryError("unknown_field", "query", f"the parameters are {', '.join(known)}")


def choice(args: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    """Return a parameter that must be one of `choices`, "" if it is absent. Raises `QueryError`."""
    value = args.get(name, "")
    if value and value not in choices:
        raise QueryError("bad_format", name, f"must be one of {', '.join(choices)}")
    return value


def module_of(args: Mapping[str, str]) -> str:
    """Return the parameter `module`, "" if it is absent. Raises `QueryError`."""
    module = args.get("module", "")
    if len(module) > 64 or (module and not module.isprintable()):
        raise QueryError("bad_format", "module", "must be printable, with at most 64 characters")
    return module


def limit_of(text: str) -> int:
    """Return the number of rows of a page. Raises `QueryError`."""
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise QueryError("out_of_range", "limit", f"must be 1 to {MOST}")
    return int(text or DEFAULT_LIMIT)


def pseudonym(text: str, name: str) -> int:
    """Return the number of a pseudonym: 16 hexadecimal digits. Raises `QueryError`."""
    if len(text) != 16 or not set(text) <= set("0123456789abcdef"):
        raise QueryError("bad_format", name, "must be 16 hexadecimal digits, as in a row")
    return int(text, 16)


def day(moment: datetime) -> str:
    """Return the day of a time. Exact times would let a reader link a row to a figure that has just changed."""
    return f"{moment:%Y-%m-%d}"


def second(moment: datetime) -> str:
    """Return a time to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _after(args: Mapping[str, str]) -> dict[str, Any]:
    place = cursors.place("flags", args)
    if place is None:
        return {"after_module": "", "after_rule": "", "after_key": 0, "after": 0}
    module, rule, *rest = place if len(place) == 4 else ("", "")
    numbers = [int(each) for each in rest if re.fullmatch(r"[0-9]{1,20}", each)]
    if len(numbers) != 2 or max(numbers) >= 1 << 64 or len(module) > 64 or len(rule) > 64:
        cursors.refuse()
    return {"after_module": module, "after_rule": rule, "after_key": numbers[0], "after": numbers[1]}
