"""What a decision about a case must say, and what a note may not hold."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.credentials import Role
from core.home import Home
from dashboard.casework import Casework, Decision, Person
from tests.end_to_end.system import ENGINES
from tests.warehouse.cases.test_listing import flag, raise_flags
from tests.warehouse.test_engine import done_in
from warehouse.cases import listing, revisions
from warehouse.cases.revisions import Change
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.queries.metrics import QueryError

EVE = Person("eve", Role.LICENSING)
NAME = "invoice_pro.install.0000000000000001"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """The changes that were written."""
    made: list[Change] = []
    case = SimpleNamespace(subject=None, reopened=False, evidence=revisions.Evidence())
    monkeypatch.setattr(listing, "case", lambda engine, subject: case)
    monkeypatch.setattr(revisions, "latest", lambda engine, subjects: {})
    monkeypatch.setattr(revisions, "write", lambda engine, change, now: made.append(change))
    return made


def casework(engine: Engine | None = None) -> Casework:
    log = SimpleNamespace(record=lambda *asked: None)
    users = SimpleNamespace(users=lambda: [SimpleNamespace(name="eve", role=Role.LICENSING)])
    return Casework(cast(Any, engine), cast(Any, log), cast(Any, users), cast(Any, None))


def decide(decision: Decision) -> None:
    casework().decide(EVE, NAME, 0, decision)


def test_a_decision_decides_something(written: list[Change]) -> None:
    """A state, an assignee (also nobody) or a note. A revision alone is refused, and nothing is written."""
    for empty in (Decision(), Decision(note=" \n")):
        with pytest.raises(QueryError) as refused:
            decide(empty)
        assert refused.value.reason == "missing_field"
    assert written == []
    for one in (Decision("open"), Decision(assignee=""), Decision(assignee="eve"), Decision(note="called")):
        decide(one)
    assert len(written) == 4


@pytest.mark.parametrize("wrong", ["\0", "\x1b", "\x7f", "\x85", "\u202e", "\u202a", "\u2066", "\u2069"])
def test_a_note_has_no_control_characters_and_none_that_turn_the_text_around(written: list[Change], wrong: str) -> None:
    with pytest.raises(QueryError) as refused:
        decide(Decision(note=f"called{wrong}dellac"))
    assert (refused.value.reason, refused.value.param) == ("bad_format", "note")
    assert written == []


def test_a_note_may_be_of_any_language(written: list[Change]) -> None:
    """Lines, tabs, and marks that scripts from right to left need."""
    note = "Zürich:\n\t\u200fשלום\u200e, نعم, 👩\u200d💻\r\nend"
    decide(Decision(note=note))
    assert written[0].note == note


def undone(engine: Engine, home: Home) -> list[tuple[str, str]]:
    """Resolve two cases, raise the flag of the second anew, decide wrongly about both and undo that."""
    migrate(engine)
    raise_flags(engine, [flag(1), flag(2)], "first")
    desk, states = casework(engine), []
    names = [str(Subject("invoice_pro", number, 0)) for number in (1, 2)]
    for name in names:
        desk.decide(EVE, name, 0, Decision("resolved"))
    now = datetime.now(UTC)
    again = [flag(2, revision=2, event="cleared", at=now), flag(2, revision=3, at=now + timedelta(seconds=1))]
    raise_flags(engine, again, "again")
    for name in names:
        wrong = desk.decide(EVE, name, 1, Decision("dismissed"))
        # Later than the flag: the undoing is what a real one is, the newest of all.
        future = datetime.now(UTC) + timedelta(seconds=5)
        with pytest.MonkeyPatch.context() as patch:
            write = revisions.write
            patch.setattr(revisions, "write", lambda engine, change, now: write(engine, change, future))  # noqa: B023
            desk.undo(EVE, wrong.change)
        case = listing.case(engine, Subject("invoice_pro", 1 if name == names[0] else 2, 0))
        assert case is not None
        states.append((wrong.state, case.state))
    return states


@pytest.mark.parametrize("kind", ENGINES)
def test_undoing_does_not_close_a_case_that_came_back(kind: str, tmp_path: Path) -> None:
    """The first is resolved again. The second had come back, because its flag was raised anew, and is open again."""
    assert done_in(kind, tmp_path, undone) == [("dismissed", "resolved"), ("dismissed", "open")]
