"""Work on the cases of the license plane: reading and deciding. The access log records all of it, before any answer."""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.access_log import AccessLog
from core.credentials import Credentials, Role
from core.license_keys import LicenseKeys
from warehouse.cases import keys, listing, revisions
from warehouse.cases.dossier import Dossier, dossier
from warehouse.cases.keys import KnownKey
from warehouse.cases.last_reports import last_reports
from warehouse.cases.listing import Case, Total
from warehouse.cases.revisions import MOST_NOTE, STATES, UNDONE, Change, Conflict, Evidence, Revision
from warehouse.cases.subjects import Subject, subject_of
from warehouse.cases.trends import Trends, trends
from warehouse.engine import Engine
from warehouse.queries.metrics import QueryError

MOST_BULK = 200
# Characters with which a text reads other than it is stored: overrides, embeddings and isolates of its direction.
BIDI = frozenset(chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))


@dataclass(frozen=True)
class Person:
    """Who asks: a login, or `token` and its id."""

    name: str
    role: Role


@dataclass(frozen=True)
class Decision:
    """What somebody decides about a case. None leaves what it was. A note belongs to its revision alone."""

    state: str | None = None
    assignee: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Opened:
    """A case with all that is known about it; its revisions, oldest first."""

    case: Case
    dossier: Dossier
    revisions: list[Revision]


@dataclass(frozen=True)
class Outcome:
    """What became of an action on several cases. `change` is its id, by which it can be undone."""

    change: str
    done: list[Revision]
    conflicts: list[Conflict]


class NoSuchCase(Exception):
    """There is no such case: its subject has never had a flag, or it was forgotten or erased."""


class Casework:
    """The cases. Methods raise `QueryError`, `EngineError`, `NoSuchCase` and, if logging fails, `AccessLogError`."""

    def __init__(self, engine: Engine, log: AccessLog, credentials: Credentials, keys: LicenseKeys) -> None:
        self._engine, self._log, self._credentials, self._keys = engine, log, credentials, keys

    def list(
        self, person: Person, what: str, args: Mapping[str, str], *, seen: datetime | None = None, after: int = 0,
        limit: int = listing.DEFAULT_LIMIT,
    ) -> tuple[list[Case], Total]:  # fmt: skip
        """Return a page of cases, and the total; see `listing.cases`."""
        found, total = listing.cases(self._engine, args, who=person.name, seen=seen, after=after, limit=limit)
        self._note(person, what, args, len(found))
        return found, total

    def open(self, person: Person, what: str, name: str) -> Opened:
        """Return a case with all that is known about it."""
        case = self._case(name)
        known, past = dossier(self._engine, case.subject), revisions.history(self._engine, case.subject)
        self._note(person, what, {"case": name}, 1)
        return Opened(case, known, past)

    def decide(self, person: Person, name: str, seen: int, decision: Decision, change: str = "") -> Revision:
        """Write the next revision of a case, if its newest is still `seen`. Raises `Conflict`."""
        self._check(decision)
        case = self._case(name)
        if decision.state is None and decision.assignee is None and not decision.note.strip():
            raise QueryError("missing_field", "state", "or the assignee or a note must be given")
        before = revisions.latest(self._engine, [case.subject]).get(case.subject)
        # What the page shows as disputed may be stored as open: the dispute may end.
        kept = before.state if before and not case.reopened else revisions.OPEN
        state = decision.state or kept
        assignee = decision.assignee if decision.assignee is not None else (before.assignee if before else "")
        held = _held(case, before, state)
        written = Change(
            case.subject, seen, person.name, state, assignee, decision.note.strip(), evidence=held, id=change
        )
        return self._write(person, name, written)

    def decide_all(self, person: Person, seen: Mapping[str, int], decision: Decision) -> Outcome:
        """Decide the same about several cases, each with the revision that was seen. The others go on at a conflict."""
        if len(seen) > MOST_BULK:
            raise QueryError("too_many_items", "cases", f"at most {MOST_BULK} at once")
        outcome = Outcome(revisions.new_change(), [], [])
        for name, revision in seen.items():
            try:
                outcome.done.append(self.decide(person, name, revision, decision, outcome.change))
            except Conflict as conflict:
                outcome.conflicts.append(conflict)
        return outcome

    def undo(self, person: Person, change: str) -> Outcome:
        """Take back an action of this person, in each case that nobody has changed since."""
        outcome = Outcome(revisions.new_change(), [], [])
        for wrong in revisions.of_change(self._engine, change):
            if wrong.who != person.name:
                continue
            past = [one for one in revisions.history(self._engine, wrong.subject) if one.revision < wrong.revision]
            before = past[-1] if past else Revision(
                wrong.subject, 0, wrong.at, "", "", revisions.OPEN, "", "", Evidence(), ""
            )  # fmt: skip
            # A resolved case that had come back since was shown as open.
            case = listing.case(self._engine, wrong.subject) if before.state == revisions.RESOLVED else None
            back = case is not None and bool(case.evidence.rules) and case.raised > before.at
            try:
                outcome.done.append(self._write(person, str(wrong.subject), Change(
                    wrong.subject, wrong.revision, person.name, revisions.OPEN if back else before.state,
                    before.assignee, "", UNDONE,
                    before.evidence, outcome.change,
                )))  # fmt: skip
            except Conflict as conflict:
                outcome.conflicts.append(conflict)
        return outcome

    def trends(self, person: Person, what: str, module: str, k: int) -> Trends:
        """Return what becomes of the flags of a module, or with "" of all."""
        found = trends(self._engine, module, k, datetime.now(UTC))
        self._note(person, what, {"module": module}, 0)
        return found

    def look_up(self, person: Person, name: str, key_hash: str) -> str:
        """Return the pseudonym of a license key, which a reader compares with that of a case. Nothing is stored."""
        self._case(name)
        key = f"{self._keys.pseudonym(key_hash):016x}"
        self._note(person, "key looked up", {"case": name, "key": key}, 1)
        return key

    def find_keys(self, person: Person, key_hashes: Sequence[str]) -> str:
        """Return the pseudonyms of license keys in their order, as the list of cases takes them. Nothing is stored."""
        found = ",".join(dict.fromkeys(f"{self._keys.pseudonym(each):016x}" for each in key_hashes))
        self._note(person, "keys looked up", {"key": found}, len(found.split(",")))
        return found

    def known_keys(self, pseudonyms: Collection[int]) -> Sequence[KnownKey]:
        """Return what is known of keys. Not logged: the list of their cases is, which is read with it."""
        return keys.known(self._engine, pseudonyms)

    def last_reports(self, cases: Sequence[Case]) -> dict[Subject, datetime]:
        """Return when cases that were listed last reported."""
        return last_reports(self._engine, cases)

    def people(self) -> Sequence[str]:
        """Return the names of those who can work on cases."""
        return [user.name for user in self._credentials.users() if user.role.licensing]

    def _write(self, person: Person, name: str, change: Change) -> Revision:
        asked = {"case": name, "state": change.state, "assignee": change.assignee}
        # Before it happens: what cannot be logged must not be done.
        self._note(person, "case undone" if change.action == UNDONE else "case changed", asked, 1)
        return revisions.write(self._engine, change, datetime.now(UTC))

    def _case(self, name: str) -> Case:
        subject: Subject | None = subject_of(name)
        found = listing.case(self._engine, subject) if subject else None
        if found is None:
            raise NoSuchCase(name[:100])
        return found

    def _check(self, decision: Decision) -> None:
        if decision.state is not None and decision.state not in STATES:
            raise QueryError("bad_format", "state", f"must be one of {', '.join(STATES)}")
        if decision.assignee and decision.assignee not in self.people():
            raise QueryError("bad_format", "assignee", "must be a user with the role licensing or admin")
        if len(decision.note) > MOST_NOTE:
            raise QueryError("out_of_range", "note", f"must have at most {MOST_NOTE} characters")
        if any((unicodedata.category(each) == "Cc" and each not in "\t\r\n") or each in BIDI for each in decision.note):
            raise QueryError(
                "bad_format", "note", "must have no control characters, and none that turn the text around"
            )

    def _note(self, person: Person, what: str, question: Mapping[str, str], rows: int) -> None:
        asked = {name: value for name, value in question.items() if value}
        self._log.record(person.name, str(person.role), what, asked, rows)


def _held(case: Case, before: Revision | None, state: str) -> Evidence:
    """The evidence that a revision holds. A note on a closed case does not change what it was closed on."""
    stays = before is not None and before.state == state and state in revisions.CLOSED and not case.reopened
    return before.evidence if stays and before else case.evidence
