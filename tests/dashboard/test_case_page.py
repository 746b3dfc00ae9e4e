"""What the page of a case says of the installs that share a key."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.case_words import STATES, states
from dashboard.cases_api import answer_of
from dashboard.casework import Opened
from dashboard.pages.case.evidence import evidence
from dashboard.pages.case.installs import installs, key_look_up
from dashboard.pages.case.timeline import timeline
from dashboard.pages.case.work import head, work
from warehouse.cases.dossier import Dossier, Flagged, Reported
from warehouse.cases.listing import Case
from warehouse.cases.revisions import STATES as STORED
from warehouse.cases.revisions import Evidence
from warehouse.cases.subjects import Subject

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEY = Subject("invoice_pro", 0, 9)


def reported(install: int, days: int) -> Reported:
    return Reported(install, "licensed", "1.0", "whmcs", 9, "", NOW - timedelta(days=days), NOW)


def opened(in_question: dict[int, int], others: dict[int, int]) -> Opened:
    """The case of a key. Each install has the number of days since it was seen first. Install 2 has a case as well."""
    pieces = (("more than 2 installs", "recorded"), ("2 are allowed", "claimed"))
    flags = [
        Flagged(one, "shared_key", 1, "raised", NOW, NOW, "warning", "claimed", 3, pieces, "") for one in in_question
    ]
    of, rest = ([reported(*one) for one in each.items()] for each in (in_question, others))
    known = Dossier(flags, {9: None}, False, of, rest, [], {2}, "on 10 days, at most 3 on one day")
    held = Evidence(("shared_key",), 3, "claimed")
    case = Case(KEY, "open", "", 0, False, "warning", held, len(in_question), tuple(in_question), 9, 81, NOW, NOW, NOW)
    return Opened(case, known, [])


def shown(component: Any) -> str:
    return str(component.to_plotly_json())


@pytest.mark.parametrize(
    ("in_question", "others", "said"),
    [
        ({2: 9, 3: 9}, {1: 20}, "seen first, 0000000000000001, is probably"),
        ({2: 9, 3: 9}, {1: 9}, "Several installs were seen first on the same day"),
        ({1: 9, 2: 9, 3: 5}, {}, "Several installs were seen first on the same day"),
    ],
)
def test_an_owner_is_named_only_where_one_install_was_first(
    in_question: dict[int, int], others: dict[int, int], said: str
) -> None:
    """By day. Whoever is in question is never called the owner, nor is anyone if the first is in question."""
    text = shown(installs(opened(in_question, others), seconds=True))
    assert said in text
    assert ("probably the owner" in text) == ("probably" in said)
    assert "probably the owner" not in shown(installs(opened({1: 20, 2: 9}, {3: 5}), seconds=True))


def test_the_counts_and_links_are_those_of_the_tables() -> None:
    """Only an install with a case is a link. The evidence has the number in question, and what was measured."""
    case = opened({2: 9, 3: 9}, {1: 20})
    text = shown(installs(case, seconds=True))
    assert "2 installs in question" in text
    assert "1 other install that used the same key" in text
    assert text.count("/licensing/invoice_pro.install.") == 1
    assert "/licensing/invoice_pro.install.0000000000000002" in text
    told = shown(evidence(case.dossier, NOW.date()))
    assert "2 installs in question" in told
    assert "on 10 days, at most 3 on one day" in told
    assert "Self-reported" in told
    assert "Claimed" not in told
    assert case.dossier.users == "3"
    # How long it was at the last change of the flag is not said beside that.
    assert "Reported for at least" not in shown(head(case))
    assert "Reported for at least" in shown(head(replace(case, dossier=replace(case.dossier, measured=""))))


def test_the_list_of_installs_is_one_click_away() -> None:
    """It is that of the module and of what the installs in question report; opening it is logged like any reading."""
    case = opened({2: 9, 3: 9}, {1: 20})
    one, *others = case.dossier.installs
    case = replace(case, dossier=replace(case.dossier, installs=[replace(one, status="unlicensed"), *others]))
    text = shown(installs(case, seconds=True))
    assert "/licensing/installs?module=invoice_pro&status=licensed,unlicensed" in text
    assert "All installs of invoice_pro that report licensed or unlicensed" in text
    assert "module=invoice_pro&status=licensed,unlicensed&key=0000000000000009" in text, "also others with the key"
    several = replace(case, dossier=replace(case.dossier, registered={8: None, 9: None}))
    assert "key=" not in shown(installs(several, seconds=True))
    nothing = replace(case, dossier=replace(case.dossier, installs=[], others=[]))
    assert "/licensing/installs" not in shown(installs(nothing, seconds=True))


def test_what_was_cleared_is_folded_away_below_what_holds() -> None:
    """A rule that holds comes first. What was cleared is said in the past tense, and open only where nothing holds."""
    case = opened({2: 9}, {})
    cleared = replace(case.dossier.flags[0], rule="dead_key", event="cleared", why="the evidence no longer holds")
    both = evidence(replace(case.dossier, flags=[cleared, *case.dossier.flags]), NOW.date()).children
    assert "Shared key" in shown(both[1])
    assert "no longer: 1 rule" in shown(both[2])
    assert "It held from 28 Nov 2026 on." in shown(both[2])
    assert not both[2].open
    assert evidence(replace(case.dossier, flags=[cleared]), NOW.date()).children[1].open


def test_silence_is_said() -> None:
    """An install that has sent nothing for more than a week may be gone; nothing is concluded from it."""
    case = opened({2: 9, 3: 9}, {})
    assert "sent nothing" not in shown(evidence(case.dossier, NOW.date() + timedelta(days=7)))
    told = shown(evidence(case.dossier, NOW.date() + timedelta(days=33)))
    assert "The installs have sent nothing since 28 Nov 2026, 33 days ago." in told


def test_an_active_key_is_the_first_explanation_of_an_unlicensed_install() -> None:
    """The registry's word stands before what the rule lists, and not beside rules that it does not explain."""
    case = opened({2: 9}, {})
    unlicensed = replace(case.dossier.flags[0], rule="unlicensed")
    for registered, first in (("active, for 1 install", True), ("revoked, for 1 install", False), (None, False)):
        known = replace(case.dossier, flags=[unlicensed], registered={9: registered})
        told = shown(evidence(known, NOW.date()))
        assert ("has its key as active" in told) == first
        if first:
            assert told.index("has its key as active") < told.index("a new customer")
    shared = replace(case.dossier, registered={9: "active, for 1 install"})
    assert "has its key as active" not in shown(evidence(shared, NOW.date()))


def test_the_file_of_a_case_explains_as_much_as_its_page() -> None:
    """Each flag has the explanations that stand beside it, with what the registry says of the key."""
    case = opened({2: 9}, {})
    unlicensed = replace(case.dossier.flags[0], rule="unlicensed")
    known = replace(case.dossier, flags=[unlicensed], registered={9: "active, for 1 install"})
    (flag,) = answer_of(replace(case, dossier=known), seconds=True)["flags"]
    page = shown(evidence(known, NOW.date()))
    assert "has its key as active" in flag["innocent"][0]
    assert len(flag["innocent"]) > 2
    assert all(repr(text) in page for text in flag["innocent"])


def test_a_key_whose_end_has_no_date_may_have_died_lately() -> None:
    """The days of the claim say nothing about the days on which the key was dead."""
    case = opened({1: 1}, {})
    for said, lately in (
        ("the registry imported on 2026-12-01 had the key as revoked: since when it was revoked is not known", True),
        ("the registry had the key as revoked since the import of 2026-12-01", False),
    ):
        pieces = (("the install claimed a license", "recorded"), (said, "registry"))
        flags = [replace(flag, rule="dead_key", pieces=pieces) for flag in case.dossier.flags]
        told = shown(evidence(replace(case.dossier, flags=flags), NOW.date()))
        assert ("died only shortly before that import" in told) == lately
    for rule, explained in (
        ("dead_key", "a restored backup"),
        ("unlicensed", "a server that moved"),
        ("unlicensed", "a developer's machine"),
        ("lapsed", "a restored backup"),
        ("unknown_key", "another spelling"),
    ):
        flags = [replace(flag, rule=rule) for flag in case.dossier.flags]
        assert explained in shown(evidence(replace(case.dossier, flags=flags), NOW.date()))


def test_what_cannot_be_read_is_said_where_it_is_missing() -> None:
    """Without the key of the reports the page names it, and states no number of installs that it has not read."""
    case = opened({}, {})
    known = replace(case.dossier, registered={}, unreadable="states.key is missing")
    case = replace(case, dossier=known)
    text = shown(installs(case, seconds=True))
    assert "They are sealed, and states.key is missing." in text
    assert "None is known any more" not in text
    assert "which cannot be read" in shown(key_look_up(case, ""))
    assert "Reports are missing here" in shown(timeline(case, seconds=True))
    assert "Installs that used the key" not in shown(head(case))
    assert "Installs that used the key" in shown(head(opened({2: 9}, {})))


def test_each_state_that_can_be_chosen_is_explained_beside_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """But open. A dispute that a colleague notes pauses no flag: only the owner's statement does."""
    monkeypatch.setattr(sys.modules[work.__module__], "csrf_token", lambda: "")
    text = shown(work(opened({2: 9}, {}), "eve", ["eve"]))
    for state in STORED:
        assert state == "open" or STATES[state] in text.partition("Pharos knows no customer")[2], state
    assert "Only a statement of the server's owner pauses the flag." in text
    assert "or a colleague chose it, which pauses none" in states()
