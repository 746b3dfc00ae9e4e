"""The revisions of a case. Of two people who write the same revision one wins, and the other learns what happened.

A revision has the deduplication token `subject:revision`. ClickHouse drops the second insert with a token, on the
embedded engine, on a server and across replicas, and says nothing. So the writer reads the revision back: it won if the
row is its own.
"""

import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from warehouse.cases.subjects import Subject
from warehouse.engine import Engine, EngineError
from warehouse.server_users import ServerUser

TABLE = "license_cases"
OPEN, WATCHING, CONTACTED, RESOLVED, DISMISSED, DISPUTED = STATES = (
    "open", "watching", "contacted", "resolved", "dismissed", "disputed",
)  # fmt: skip
CLOSED = frozenset({RESOLVED, DISMISSED})
CHANGED, UNDONE = "changed", "undone"
MOST_NOTE = 2000
# A replica shows a row of another one when it has fetched it.
FETCHED_SECONDS = 10.0
# So many revisions of a forgotten case may still have their tokens in the window.
MOST_FORGOTTEN = 200

_COLUMNS = "module, install, key, revision, at, who, action, state, assignee, note, rules, reach, grade, change"


@dataclass(frozen=True)
class Evidence:
    """What the flags of a case said: their rules, the number of installs, and the strongest grade ("" for none)."""

    rules: tuple[str, ...] = ()
    reach: int = 0
    grade: str = ""


@dataclass(frozen=True)
class Revision:
    """A row: what `who` made of the case at that time, and the evidence that there was."""

    subject: Subject
    revision: int
    at: datetime
    who: str
    action: str
    state: str
    assignee: str
    note: str
    evidence: Evidence
    change: str


class Conflict(Exception):
    """Somebody else was faster. `theirs` is what they wrote."""

    def __init__(self, theirs: Revision) -> None:
        super().__init__(f"{theirs.who} was faster")
        self.theirs = theirs


@dataclass(frozen=True)
class Change:
    """What somebody wants to write over revision `seen` (0: the case has none yet). Its `id` is random."""

    subject: Subject
    seen: int
    who: str
    state: str
    assignee: str = ""
    note: str = ""
    action: str = CHANGED
    evidence: Evidence = Evidence()
    id: str = ""


def new_change() -> str:
    """Return the id of an action."""
    return secrets.token_hex(8)


def history(engine: Engine, subject: Subject) -> list[Revision]:
    """Return the revisions of a case, oldest first. Raises `EngineError`."""
    return _revisions(engine, [subject])


def latest(engine: Engine, subjects: Collection[Subject]) -> dict[Subject, Revision]:
    """Return the newest revision of each case that has one. Raises `EngineError`."""
    return {found.subject: found for found in _revisions(engine, subjects)}


def of_change(engine: Engine, change: str) -> list[Revision]:
    """Return the revisions that an action wrote. Raises `EngineError`."""
    found = engine.as_user(ServerUser.LICENSING).query(
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE change = {{change:String}} ORDER BY module, install, key, revision",  # noqa: S608
        {"change": change},
    )
    return [_revision(row) for row in found]


def write(engine: Engine, change: Change, now: datetime) -> Revision:
    """Write the next revision of a case; return it. Raises `Conflict` and `EngineError`."""
    before = latest(engine, [change.subject]).get(change.subject)
    if (before.revision if before else 0) != change.seen:
        if before is None:
            raise EngineError("the case was forgotten")
        raise Conflict(before)
    number = change.seen + 1
    while True:
        row = Revision(
            change.subject, number, now, change.who, change.action, change.state, change.assignee, change.note,
            change.evidence, change.id or new_change(),
        )  # fmt: skip
        writer = engine.as_user(ServerUser.DESK)
        writer.insert(TABLE, [msgspec.json.encode(_line(row))], f"case {change.subject}:{number}")
        found = _written(engine, row)
        if found is not None:
            if found.change != row.change:
                raise Conflict(found)
            return row
        # An earlier case of this subject was forgotten, but not yet its tokens.
        number += 1
        if number > change.seen + MOST_FORGOTTEN:
            raise EngineError("the revision was not stored")


def _written(engine: Engine, row: Revision) -> Revision | None:
    """Return what is stored as this revision; None if the insert had no effect."""
    until = time.monotonic() + (FETCHED_SECONDS if engine.cluster else 0)
    while True:
        for found in _revisions(engine, [row.subject]):
            if found.revision == row.revision:
                return found
        if time.monotonic() >= until:
            return None
        time.sleep(0.02)


def _revisions(engine: Engine, subjects: Collection[Subject]) -> list[Revision]:
    reader = engine.as_user(ServerUser.LICENSING)
    wanted, rows = set(subjects), []
    by_kind = {
        kind: {subject.install or subject.key for subject in wanted if subject.kind == kind}
        for kind in ("install", "key")
    }
    for kind, numbers in by_kind.items():
        sql = f"SELECT {_COLUMNS} FROM {TABLE} WHERE {kind} IN {{numbers:Array(UInt64)}} ORDER BY revision"  # noqa: S608
        rows += reader.query_each(sql, "numbers", numbers)
    found: dict[tuple[Subject, int], Revision] = {}
    for revision in map(_revision, rows):
        if revision.subject in wanted:
            found.setdefault((revision.subject, revision.revision), revision)
    return [found[name] for name in sorted(found)]


def _revision(row: tuple[Any, ...]) -> Revision:
    module, install, key, revision, at, who, action, state, assignee, note, rules, reach, grade, change = row
    at, evidence = at.replace(tzinfo=UTC), Evidence(tuple(rules), reach, grade)
    return Revision(
        Subject(module, install, key), revision, at, who, action, state, assignee, note, evidence, change
    )  # fmt: skip


def _line(row: Revision) -> dict[str, Any]:
    return {
        "module": row.subject.module,
        "install": row.subject.install,
        "key": row.subject.key,
        "revision": row.revision,
        "at": row.at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds"),
        "who": row.who,
        "action": row.action,
        "state": row.state,
        "assignee": row.assignee,
        "note": row.note,
        "rules": list(row.evidence.rules),
        "reach": row.evidence.reach,
        "grade": row.evidence.grade,
        "change": row.change,
    }
