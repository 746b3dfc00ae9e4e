"""The read API's paths for cases of the license plane: read them, and decide about them."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, g, request

from core.credentials import Token
from dashboard.casework import Casework, Decision, NoSuchCase, Opened, Person
from dashboard.innocent import explanations
from dashboard.permissions import CASES
from dashboard.problems import Problem, json_answer, problem_answer
from warehouse.cases.dossier import Dossier, Flagged, Reported
from warehouse.cases.listing import DEFAULT_LIMIT, MOST, Case
from warehouse.cases.revisions import Conflict, Revision
from warehouse.licensing.state_codec import Unreadable
from warehouse.queries import cursors
from warehouse.queries.metrics import QueryError

CASE = f"{CASES}/<case>"
MOST_BODY = 16 * 1024
T = TypeVar("T", bound=msgspec.Struct)


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    revision: int
    state: str | None = None
    assignee: str | None = None
    note: str = ""
    undo: str = ""


def register(routes: Blueprint, casework: Casework, arguments: Callable[[], dict[str, str]], *, seconds: bool) -> None:
    """Add the paths. Times are rounded to the hour, or with `seconds` to the second."""
    spelled = _spelling(seconds=seconds)

    @routes.get(CASES)
    def get_cases() -> Response:
        given = arguments()
        after, limit = _after(given), _limit(given.pop("limit", ""))
        given.pop("cursor", "")
        found, total = casework.list(person(), "api cases", given, after=after, limit=limit)
        more = after + len(found) < total.cases
        return json_answer(200, {
            "cases": total.cases, "installs": total.installs, "keys": total.keys,
            "rows": [_case(case, spelled) for case in found],
            **({"next_cursor": cursors.cursor("cases", given, [after + len(found)])} if more else {}),
        })  # fmt: skip

    @routes.get(CASE)
    def get_case(case: str) -> Response:
        if arguments():
            raise QueryError("unknown_field", "query", "this path has no parameters")
        return json_answer(200, answer_of(casework.open(person(), "api case", case), seconds=seconds))

    @routes.post(CASE)
    def post_case(case: str) -> Response:
        body = _read(_Body)
        if body.undo:
            return json_answer(200, _revision(undone(case, body.undo), spelled))
        made = casework.decide(person(), case, body.revision, Decision(body.state, body.assignee, body.note))
        return json_answer(200, _revision(made, spelled))

    def undone(case: str, change: str) -> Revision:
        outcome = casework.undo(person(), change)
        for conflict in outcome.conflicts:
            raise conflict
        made = next((one for one in outcome.done if str(one.subject) == case), None)
        if made is None:
            raise Problem(404, "not_found", "undo", "this token made no such change of the case")
        return made

    @routes.errorhandler(NoSuchCase)
    def no_such_case(error: NoSuchCase) -> Response:
        return problem_answer(Problem(404, "not_found", "case", "there is no such case"))

    @routes.errorhandler(Conflict)
    def conflict(error: Conflict) -> Response:
        theirs = _revision(error.theirs, spelled)
        detail = f"{error.theirs.who} changed the case first: state {error.theirs.state}"
        return problem_answer(Problem(409, "conflict", "revision", detail, change=theirs))


def person() -> Person:
    """Who asks, by the token of the request."""
    token: Token = g.token
    return Person(f"token {token.id}", token.role)


def _read(kind: type[T]) -> T:
    if request.mimetype != "application/json":
        raise Problem(422, "unsupported_media_type", "", "the body must be application/json")
    if (request.content_length or 0) > MOST_BODY:
        raise Problem(413, "body_too_large", "", f"at most {MOST_BODY} bytes")
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except msgspec.ValidationError:
        names = ", ".join(field.name for field in msgspec.structs.fields(kind))
        raise Problem(422, "bad_format", "", f"must be an object with {names}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "malformed_json", "", "must be JSON") from None


def _limit(text: str) -> int:
    if text and not (re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= MOST):
        raise QueryError("out_of_range", "limit", f"must be 1 to {MOST}")
    return int(text or DEFAULT_LIMIT)


def _after(args: Mapping[str, str]) -> int:
    place = ":".join(cursors.place("cases", args) or ["0"])
    if not re.fullmatch(r"[0-9]{1,7}", place):
        cursors.refuse()
    return int(place)


Spelled = Callable[[datetime], str]


def _spelling(*, seconds: bool) -> Spelled:
    """Return how times are written: to the hour, or with `seconds` to the second."""
    return lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}" if seconds else f"{moment:%Y-%m-%dT%H:00:00Z}"


def _case(case: Case, spelled: Spelled) -> dict[str, Any]:
    subject, held = case.subject, bool(case.evidence.rules)
    return {
        "case": str(subject),
        "module": subject.module,
        "id": f"{subject.install:016x}" if subject.install else None,
        "key": f"{subject.key:016x}" if subject.key else None,
        "state": case.state,
        "reopened": case.reopened,
        "assignee": case.assignee or None,
        "revision": case.revision,
        "rules": list(case.evidence.rules),
        "severity": case.severity or None,
        "grade": case.evidence.grade or None,
        "installs": case.installs,
        "reach": case.evidence.reach,
        "days": case.days,
        "score": case.score,
        "since": spelled(case.since) if held else None,
        "raised": spelled(case.raised) if held else None,
        "touched": spelled(case.touched),
    }


def _revision(made: Revision, spelled: Spelled) -> dict[str, Any]:
    return {
        "revision": made.revision,
        "at": spelled(made.at),
        "who": made.who,
        "action": made.action,
        "state": made.state,
        "assignee": made.assignee or None,
        "note": made.note,
        "change": made.change,
    }


def answer_of(opened: Opened, *, seconds: bool) -> dict[str, Any]:
    """Return the answer about a case. Raises `Unreadable`."""
    known, spelled = opened.dossier, _spelling(seconds=seconds)
    if known.unreadable:
        raise Unreadable(known.unreadable)
    return {
        **_case(opened.case, spelled),
        "flags": [_flag(known, flag, spelled) for flag in known.flags],
        "in_question": [_reported(report, spelled) for report in known.installs],
        "others": [_reported(report, spelled) for report in known.others],
        "revisions": [_revision(made, spelled) for made in opened.revisions],
        "events": [
            {
                "at": spelled(event.at),
                "kind": event.kind,
                "text": event.text,
                "id": f"{event.install:016x}" if event.install else None,
            }
            for event in known.events
        ],
    }


def _flag(known: Dossier, flag: Flagged, spelled: Spelled) -> dict[str, Any]:
    return {
        "id": f"{flag.install:016x}",
        "rule": flag.rule,
        "event": flag.event,
        "at": spelled(flag.at),
        "since": spelled(flag.since),
        "severity": flag.severity,
        "grade": flag.grade,
        "reach": flag.reach,
        "pieces": [{"text": text, "grade": grade} for text, grade in flag.pieces],
        "why": flag.why,
        "innocent": explanations(known, flag),
    }


def _reported(report: Reported, spelled: Spelled) -> dict[str, Any]:
    return {
        "id": f"{report.install:016x}",
        "status": report.status,
        "version": report.version,
        "source": report.source,
        "key": f"{report.key:016x}" if report.key else None,
        "country": report.country or None,
        "first_seen": spelled(report.first_seen),
        "last_seen": spelled(report.last_seen),
    }
