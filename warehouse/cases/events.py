"""What happened to cases, for those outside who want to hear of it: the events of flags, and what people decided.

An event has an id that follows from its row alone, so that whoever reads the row again gets the same id.
It has no address, no license key and no note.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from warehouse.cases.subjects import Subject, subject_of
from warehouse.engine import Engine
from warehouse.server_users import ServerUser

# More than one judging writes with one time, so that reading on from the last time always gets further.
MOST = 50_000

# A flag about a key has a row for each install, and is told once. That of an install is told once a revision.
_FLAGS = f"""
SELECT module::String AS module, if(key = 0, install, 0) AS about, key, rule::String AS rule, event::String AS event,
    toUnixTimestamp64Milli(at) AS millis, max(revision), any(severity::String), any(grade::String), max(reach),
    min(since)
FROM license_flags WHERE at >= fromUnixTimestamp64Milli({{since:Int64}})
GROUP BY module, about, key, rule, event, millis
ORDER BY millis, module, about, key, rule LIMIT {MOST}
"""  # noqa: S608
_DECISIONS = f"""
SELECT module::String, install, key, toUnixTimestamp64Milli(at) AS millis, revision, who, action::String,
    state::String, assignee, notEmpty(note), change
FROM license_cases WHERE at >= fromUnixTimestamp64Milli({{since:Int64}})
ORDER BY millis, module, install, key, revision LIMIT {MOST}
"""  # noqa: S608


@dataclass(frozen=True)
class CaseEvent:
    """An event: `kind` is `flag.raised`, …, or `case.changed`; `more` is what is special to the kind."""

    id: str
    kind: str
    at: datetime
    subject: Subject
    more: dict[str, Any]


def events(engine: Engine, since: datetime) -> tuple[list[CaseEvent], datetime | None]:
    """Return the events from a time on, each once. If there were too many, also the time from which to read on.

    Raises `EngineError`.
    """
    reader, parameters = engine.as_user(ServerUser.LICENSING), {"since": int(since.timestamp() * 1000)}
    flags = [_flag(*row) for row in reader.query(_FLAGS, parameters)]
    decisions = [_decision(*row) for row in reader.query(_DECISIONS, parameters)]
    cut = [found[-1].at for found in (flags, decisions) if len(found) >= MOST]
    once = {event.id: event for event in reversed([*flags, *decisions])}
    return sorted(once.values(), key=lambda event: event.at), min(cut, default=None)


def gone(engine: Engine, names: Collection[str]) -> set[str]:
    """Return those cases that have no flag any more: erased, restricted, expired. Raises `EngineError`."""
    subjects = {subject for name in names if (subject := subject_of(name))}
    reader = engine.as_user(ServerUser.LICENSING)
    there: set[Subject] = set()
    for column in ("install", "key"):
        numbers = {subject.install or subject.key for subject in subjects if subject.kind == column}
        rows = reader.query_each(
            f"SELECT DISTINCT module::String, {column} FROM license_flags WHERE {column} IN {{numbers:Array(UInt64)}}",  # noqa: S608
            "numbers",
            numbers,
        )
        there |= {Subject(module, *((number, 0) if column == "install" else (0, number))) for module, number in rows}
    return {str(subject) for subject in subjects - there}


def _flag(
    module: str, install: int, key: int, rule: str, event: str, millis: int, revision: int, severity: str, grade: str,
    reach: int, since: datetime,
) -> CaseEvent:  # fmt: skip
    at, subject = _time(millis), Subject(module, install, key)
    # Two loaders that judge at once write the same revisions at different times. A flag that expired begins at 1 again,
    # and so does that of one more install of a key: then the start or the reach differs.
    which = f"{revision} {since:%Y-%m-%d} {reach}"
    more = {"rule": rule, "severity": severity, "grade": grade, "reach": reach, "since": f"{since:%Y-%m-%d}"}
    return CaseEvent(_id("flag", subject, rule, event, which), f"flag.{event}", at, subject, more)


def _decision(
    module: str, install: int, key: int, millis: int, revision: int, who: str, action: str, state: str, assignee: str,
    noted: int, change: str,
) -> CaseEvent:  # fmt: skip
    subject = Subject(module, install, key)
    more = {
        "revision": revision, "action": action, "state": state, "assignee": assignee or None, "who": who,
        "noted": bool(noted),
    }  # fmt: skip
    return CaseEvent(_id("case", subject, str(revision), change), "case.changed", _time(millis), subject, more)


def _id(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def _time(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)
