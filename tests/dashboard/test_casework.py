"""What a decision about a case must say, and what a note may not hold."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.credentials import Role
from dashboard.casework import Casework, Decision, Person
from warehouse.cases import listing, revisions
from warehouse.cases.revisions import Change
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


def decide(decision: Decision) -> None:
    log = SimpleNamespace(record=lambda *asked: None)
    users = SimpleNamespace(users=lambda: [SimpleNamespace(name="eve", role=Role.LICENSING)])
    nothing: Any = None
    Casework(nothing, cast(Any, log), cast(Any, users), nothing).decide(EVE, NAME, 0, decision)


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
