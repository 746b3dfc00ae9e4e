"""What the page of a case says of the installs that share a key."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.casework import Opened
from dashboard.pages.case.evidence import evidence
from dashboard.pages.case.installs import installs, key_look_up
from dashboard.pages.case.timeline import timeline
from dashboard.pages.case.work import head
from warehouse.cases.dossier import Dossier, Flagged, Reported
from warehouse.cases.listing import Case
from warehouse.cases.revisions import Evidence
from warehouse.cases.subjects import Subject

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEY = Subject("invoice_pro", 0, 9)


def reported(install: int, days: int) -> Reported:
    return Reported(install, "licensed", "1.0", "whmcs", 9, "", NOW - timedelta(days=days), NOW)


def opened(accused: dict[int, int], others: dict[int, int]) -> Opened:
    """The case of a key. Each install has the number of days since it was seen first. Install 2 has a case as well."""
    pieces = (("more than 2 installs", "recorded"), ("2 are allowed", "claimed"))
    flags = [Flagged(one, "shared_key", 1, "raised", NOW, NOW, "warning", "claimed", 3, pieces, "") for one in accused]
    of, rest = ([reported(*one) for one in each.items()] for each in (accused, others))
    known = Dossier(flags, {9: None}, False, of, rest, [], {2}, "on 10 days, at most 3 on one day")
    held = Evidence(("shared_key",), 3, "claimed")
    case = Case(KEY, "open", "", 0, False, "warning", held, len(accused), 9, NOW, NOW, NOW)
    return Opened(case, known, [])


def shown(component: Any) -> str:
    return str(component.to_plotly_json())


@pytest.mark.parametrize(
    ("accused", "others", "said"),
    [
        ({2: 9, 3: 9}, {1: 20}, "seen first, 0000000000000001, is probably"),
        ({2: 9, 3: 9}, {1: 9}, "Several installs were seen first on the same day"),
        ({1: 9, 2: 9, 3: 5}, {}, "Several installs were seen first on the same day"),
    ],
)
def test_an_owner_is_named_only_where_one_install_was_first(
    accused: dict[int, int], others: dict[int, int], said: str
) -> None:
    """By day. Whoever is in question is never called the owner, nor is anyone if the first is in question."""
    text = shown(installs(opened(accused, others), seconds=True))
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
    told = shown(evidence(case.dossier))
    assert "2 installs in question" in told
    assert "on 10 days, at most 3 on one day" in told
    assert "Self-reported" in told
    assert "Claimed" not in told
    assert case.dossier.users == "3"


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
