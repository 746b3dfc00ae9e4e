"""The list of cases: the flags by subject, with what people decided about each, worst first.

A case is there as soon as its subject has a flag; nobody has to open it. What it shows as its state follows from the
newest revision and from the flags, so that a dismissed case comes back by itself when there is more evidence.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from warehouse.cases.revisions import CLOSED, CONTACTED, DISMISSED, DISPUTED, OPEN, RESOLVED, WATCHING, Evidence
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.queries.metrics import QueryError
from warehouse.server_users import ServerUser

# No flag holds any more, and nobody ever did anything about it.
CLEARED = "cleared"
SHOWN = (OPEN, DISPUTED, CONTACTED, WATCHING, RESOLVED, DISMISSED, CLEARED)
WORK = (OPEN, DISPUTED, CONTACTED, WATCHING)
GRADES = ("claimed", "registry", "recorded")  # by strength
SEVERITIES = ("notice", "warning", "critical")
SORTS = {
    "worst": "score DESC",
    "newest": "raised DESC",
    "oldest": "since",
    "reach": "reach DESC",
    "touched": "touched DESC",
}
# Installs of a case that are named in the list.
MOST_NAMED = 20
DEFAULT_LIMIT, MOST, MOST_AFTER = 50, 1000, 1_000_000
PARAMETERS = ("state", "module", "rule", "severity", "grade", "assignee", "new", "key", "sort")
# The pseudonyms of keys, with commas between.
MOST_KEYS = 100
_KEYS = re.compile(rf"[0-9a-f]{{16}}(,[0-9a-f]{{16}}){{0,{MOST_KEYS - 1}}}", re.ASCII)
_LISTS = {"state": SHOWN, "severity": SEVERITIES, "grade": GRADES}


def _array(values: Sequence[str]) -> str:
    return "['" + "', '".join(values) + "']"


# The newest revision of each flag, by subject. A paused flag holds: the owner disputes it.
_BY_SUBJECT = f"""
SELECT module, if(now.4 != 0, 0, flagged) AS install, now.4 AS key,
    arraySort(groupUniqArrayIf(rule, holds)) AS rules,
    max(if(holds, indexOf({_array(SEVERITIES)}, now.5), 0)) AS severity,
    max(if(holds, indexOf({_array(GRADES)}, now.6), 0)) AS grade,
    minIf(now.3, holds) AS since, maxIf(raised_at, holds) AS raised, max(now.2) AS touched,
    groupUniqArrayIf(flagged, holds) AS installs,
    toUInt32(greatest(maxIf(now.7, holds), length(installs))) AS reach,
    maxIf(dateDiff('day', now.3, now.8), holds) AS days,
    maxIf(indexOf({_array(GRADES)}, now.6) * (dateDiff('day', now.3, now.8) + 1), holds) * reach AS score,
    max(holds AND now.1 = 'paused') AS paused
FROM (
    SELECT module, install AS flagged, rule,
        argMax((event, at, since, key, severity::String, grade::String, reach, until), revision) AS now,
        now.1 != 'cleared' AS holds,
        if(countIf(event = 'raised') = 0, min(at), maxIf(at, event = 'raised')) AS raised_at
    FROM license_flags WHERE {{where}} GROUP BY module, install, rule
)
GROUP BY module, install, key
"""  # noqa: S608
_DECIDED = """
SELECT module, install, key, argMax((revision, at, who, state::String, assignee, rules, reach, grade::String), revision)
    AS made
FROM license_cases WHERE {decided} GROUP BY module, install, key
"""
# A closed case comes back when a rule is new, when the reach has doubled, or when a grade is stronger than it was. A
# resolved one also comes back when a flag is raised anew.
_GREW = f"""notEmpty(rules) AND (NOT hasAll(made.6, rules) OR reach >= 2 * greatest(made.7, 1)
    OR grade > indexOf({_array(GRADES)}, made.8) OR (made.4 = '{RESOLVED}' AND raised > made.2))"""
CASES = f"""
SELECT module::String AS module, install, key, rules, severity, grade, since, raised,
    greatest(flags.touched, made.2) AS touched, installs, reach, days, score, made.1 AS revision, made.3 AS who,
    made.5 AS assignee, made.4 IN {_array(sorted(CLOSED))} AND {_GREW} AS reopened,
    multiIf(
        made.4 IN {_array(sorted(CLOSED))} AND NOT reopened, made.4,
        paused, '{DISPUTED}',
        reopened, '{OPEN}',
        made.1 = 0 AND empty(rules), '{CLEARED}',
        made.1 = 0, '{OPEN}',
        made.4
    ) AS state
FROM ({_BY_SUBJECT}) AS flags LEFT JOIN ({_DECIDED}) AS decided USING (module, install, key)
"""  # noqa: S608
_COLUMNS = (
    "module, install, key, rules, severity, grade, since, raised, touched, length(installs), "
    f"arraySlice(arraySort(installs), 1, {MOST_NAMED}), reach, days, score, revision, "
    "assignee, reopened, state"
)
# Of all rows, before the page is cut out of them.
_TOTALS = "count() OVER (), uniqExactArray(installs) OVER (), countIf(key != 0) OVER ()"


@dataclass(frozen=True)
class Case:
    """A case as the list shows it. `raised` is when the last of its flags was raised, `touched` the last change of all.

    `score` is grade (1 to 3) × reach × days, both ends included; `days` are those from the first to the last report
    that supports a flag. `evidence` are the flags that hold. `installs` is the number of installs that have one,
    `some_installs` are the first of them, or of a case without such a flag its install.
    """

    subject: Subject
    state: str
    assignee: str
    revision: int
    reopened: bool
    severity: str
    evidence: Evidence
    installs: int
    some_installs: tuple[int, ...]
    days: int
    score: int
    since: datetime
    raised: datetime
    touched: datetime


@dataclass(frozen=True)
class Total:
    """The number of cases that match, and how many installs and keys they are about."""

    cases: int
    installs: int
    keys: int


def cases(
    engine: Engine, args: Mapping[str, str], *, who: str = "", seen: datetime | None = None, after: int = 0,
    limit: int = DEFAULT_LIMIT,
) -> tuple[list[Case], Total]:  # fmt: skip
    """Return the cases from place `after` on, and the total of all that match.

    `args` has `PARAMETERS`: `state`, `severity`, `grade` with commas between values (`state` by default all that are
    not closed, or `all`), `module`, `rule`, `assignee` (a name; `nobody`; `me` is `who`), `new=1` (a flag was raised
    since `seen`), `key` (pseudonyms: of cases about one of these keys, or about an install that has reported one),
    `sort`. Raises `QueryError` and `EngineError`.
    """
    reader = engine.as_user(ServerUser.LICENSING)
    inner, outer, parameters = _conditions(args, who, seen)
    order = SORTS.get(args.get("sort") or "worst")
    if order is None:
        raise QueryError("bad_format", "sort", f"must be one of {', '.join(SORTS)}")
    if not 0 <= after <= MOST_AFTER:
        raise QueryError("out_of_range", "cursor", f"must be at most {MOST_AFTER}")
    rows = reader.query(
        f"SELECT {_COLUMNS}, {_TOTALS} FROM ({_cases(inner)}) WHERE {outer} "  # noqa: S608
        f"ORDER BY {order}, module, install, key LIMIT {limit} OFFSET {after}",
        parameters,
    )
    return [_case(row[:-3]) for row in rows], Total(*rows[0][-3:]) if rows else Total(0, 0, 0)


def case(engine: Engine, subject: Subject) -> Case | None:
    """Return a case, None if its subject has never had a flag. Raises `EngineError`."""
    decided = "module = {module:String} AND key = {key:UInt64} AND install IN {installs:Array(UInt64)}"
    # The flags of a key name the installs in question. A flag may have been about another key before.
    in_question = "(SELECT install FROM license_flags WHERE module = {module:String} AND key = {key:UInt64})"
    installs = in_question if subject.key else "{installs:Array(UInt64)}"
    flagged = f"module = {{module:String}} AND install IN {installs}"
    rows = engine.as_user(ServerUser.LICENSING).query(
        f"SELECT {_COLUMNS} FROM ({_cases(flagged, decided)}) WHERE key = {{key:UInt64}}",  # noqa: S608
        {"module": subject.module, "installs": [subject.install], "key": subject.key},
    )
    return _case(rows[0]) if rows else None


def _cases(where: str, decided: str = "") -> str:
    return CASES.replace("{where}", where).replace("{decided}", decided or where)


def _case(row: tuple[Any, ...]) -> Case:
    (
        module, install, key, rules, severity, grade, since, raised, touched, installs, some, reach, days, score,
        revision, assignee, reopened, state,
    ) = row  # fmt: skip
    evidence = Evidence(tuple(rules), reach, GRADES[grade - 1] if grade else "")
    return Case(
        Subject(module, install, key), state, assignee, revision, bool(reopened),
        SEVERITIES[severity - 1] if severity else "", evidence, installs,
        tuple(some) or ((install,) if install else ()), days, score,
        _aware(since), _aware(raised), _aware(touched),
    )  # fmt: skip


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _conditions(args: Mapping[str, str], who: str, seen: datetime | None) -> tuple[str, str, dict[str, Any]]:
    """Return the conditions on the tables and on the cases, and their parameters."""
    for name in args:
        if name not in PARAMETERS:
            raise QueryError("unknown_field", "query", f"the parameters are {', '.join(PARAMETERS)}")
    parameters: dict[str, Any] = {}
    inner, outer = "1", ["1"]
    if module := args.get("module"):
        inner, parameters["module"] = "module = {module:String}", _short("module", module)
    for name, known in _LISTS.items():
        text = args.get(name) or (",".join(WORK) if name == "state" else "")
        if not text or text == "all":
            continue
        values = text.split(",")
        if not set(values) <= set(known):
            raise QueryError("bad_format", name, f"must be of {', '.join(known)}")
        column = name if name == "state" else f"[{', '.join(repr(one) for one in known)}][{name}]"
        outer.append(f"{column} IN {{{name}:Array(String)}}")
        parameters[name] = values
    if rule := args.get("rule"):
        outer.append("has(rules, {rule:String})")
        parameters["rule"] = _short("rule", rule)
    if assignee := args.get("assignee"):
        outer.append("assignee = {assignee:String}")
        parameters["assignee"] = {"nobody": "", "me": who}.get(assignee, _short("assignee", assignee))
    if args.get("new"):
        outer.append("raised > fromUnixTimestamp64Milli({seen:Int64})")
        parameters["seen"] = int((seen or datetime(1970, 1, 1, tzinfo=UTC)).timestamp() * 1000)
    if keys := args.get("key"):
        if not _KEYS.fullmatch(keys):
            raise QueryError("bad_format", "key", f"must be pseudonyms of 16 hexadecimal digits, at most {MOST_KEYS}")
        reported = "SELECT module::String, install FROM license_keys WHERE key IN {keys:Array(UInt64)}"
        outer.append(f"(key IN {{keys:Array(UInt64)}} OR (module, install) IN ({reported}))")
        parameters["keys"] = [int(key, 16) for key in keys.split(",")]
    return inner, " AND ".join(outer), parameters


def _short(name: str, text: str) -> str:
    if len(text) > 64 or not text.isprintable():
        raise QueryError("bad_format", name, "must be printable, with at most 64 characters")
    return text
