"""The rules, purely: what must be flagged, and the innocent neighbor that must not be."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from core.settings import Settings
from warehouse.licensing.facts import EVER, Cohort, Entry, Holder, Incident, Install, Registered, Run, Terms
from warehouse.licensing.findings import Finding, Piece, in_words, span
from warehouse.licensing.rules import BY_NAME, RULES, shared_key

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEY, OTHER = 77, 78
LICENSED = "licensed"


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def install(*spans: tuple[Any, ...], **more: Any) -> Install:
    """Return an install with runs of (status, from, to, key), in days ago, all received on its day."""
    runs = tuple(
        Run(status, key[0] if key else 0, "whmcs", ago(begin), ago(end), (ago(begin), ago(end)))
        for status, begin, end, *key in spans
    )
    return replace(Install("invoice_pro", 1, "3.2.1", runs), **more)


def late(one: Install, *received: tuple[float, float] | None) -> Install:
    """Return the install with only these days of each run received on the day that they state, in days ago."""
    runs = zip(one.runs, received, strict=True)
    return replace(one, runs=tuple(replace(run, received=at and (ago(at[0]), ago(at[1]))) for run, at in runs))


def terms(**more: Any) -> Terms:
    return replace(Terms(Settings(), NOW), **more)


def registry(*entries: Entry, key: int = KEY, module: str = "invoice_pro") -> dict[str, Any]:
    """Return the terms' registry with one key."""
    return {"registry": {key: {module: Registered(entries)}}, "modules": frozenset({"invoice_pro"})}


def entry(state: str = "active", days: float = 100, **more: Any) -> Entry:
    return Entry("invoice_pro", state, ago(days), **{"max_installs": 1, **more})


def found(rule: str, one: Install, **more: Any) -> Finding | None:
    find = BY_NAME[rule].find
    assert find is not None
    return find(one, terms(**more))


def test_a_run_of_unlicensed_counts_over_unknown() -> None:
    """`unknown` neither starts nor ends a run; a licensed report ends it."""
    one = install((LICENSED, 20, 10), ("unlicensed", 5, 4), ("unknown", 3, 2), ("invalid", 1, 0))
    finding = found("unlicensed", one)
    assert finding is not None
    assert finding.since == ago(5)
    assert finding.grade == "claimed"
    assert found("unlicensed", install(("unlicensed", 2, 0))) is None
    assert found("unlicensed", install(("unlicensed", 9, 5), (LICENSED, 4, 4), ("unlicensed", 2, 0))) is None
    assert found("unlicensed", install(("unlicensed", 5, 1), (LICENSED, 0, 0))) is None
    assert found("unlicensed", install(("unlicensed", 9, 1), ("unknown", 0, 0))) is not None


def test_lapsed_needs_two_weeks() -> None:
    """An expired license is flagged after 14 days."""
    assert found("lapsed", install(("expired", 14, 0))) is not None
    assert found("lapsed", install(("suspended", 13, 0))) is None


def test_an_unknown_key_needs_a_registry_of_the_module() -> None:
    """A key that the registry does not know, for two days; also one that changes."""
    one = install((LICENSED, 4, 0, OTHER))
    assert found("unknown_key", one) is None
    finding = found("unknown_key", one, **registry(entry()))
    assert finding is not None
    assert finding.grade == "registry"
    assert found("unknown_key", late(one, None), **registry(entry())).grade == "claimed"  # type: ignore[union-attr]
    changing = install(*((LICENSED, day, day, 1000 + day) for day in range(5, -1, -1)))
    assert found("unknown_key", changing, **registry(entry())).since == ago(5)  # type: ignore[union-attr]
    assert found("unknown_key", install((LICENSED, 9, 2, OTHER), (LICENSED, 1, 0, KEY)), **registry(entry())) is None
    assert found("unknown_key", install((LICENSED, 1, 0, OTHER)), **registry(entry())) is None


def test_a_missing_key_is_held_against_the_version() -> None:
    """No key is a flag only where nearly all installs of the version send one."""
    one = install((LICENSED, 4, 0))
    for cohort, flagged in ((Cohort(20, 18), True), (Cohort(19, 19), False), (Cohort(100, 89), False)):
        cohorts = {("invoice_pro", "3.2.1"): cohort}
        assert (found("missing_key", one, cohorts=cohorts) is not None) is flagged
    assert found("missing_key", one) is None


@pytest.mark.parametrize(
    ("entries", "dead"),
    [
        ([entry("active", 90)], None),
        ([entry("revoked", 90)], ("revoked", EVER)),
        ([entry("active", 90), entry("revoked", 5)], ("revoked", ago(5))),
        ([entry("active", 90), entry("suspended", 9), entry("revoked", 5)], ("revoked", ago(9))),
        ([entry("active", 90, valid_until=date(2026, 11, 1))], ("expired", datetime(2026, 11, 2, tzinfo=UTC))),
        ([entry("expired", 3, valid_until=date(2026, 11, 1))], ("expired", datetime(2026, 11, 2, tzinfo=UTC))),
        ([entry("active", 90, valid_until=date(2026, 11, 28))], None),
        ([entry("revoked", 9), entry("active", 1)], None),
    ],
)
def test_since_when_a_key_is_dead(entries: Sequence[Entry], dead: tuple[str, datetime] | None) -> None:
    """From valid_until, else since the import that changed it; first seen dead means since ever."""
    assert Registered(tuple(entries)).dead(NOW) == dead


def test_a_dead_key_has_a_grace() -> None:
    """Revoked for 3 days, expired for 20, and still in use."""
    one = install((LICENSED, 50, 0, KEY))
    assert found("dead_key", one, **registry(entry(), entry("revoked", 2))) is None
    assert found("dead_key", one, **registry(entry(), entry("revoked", 4))).since == ago(4)  # type: ignore[union-attr]
    assert found("dead_key", one, **registry(entry(), entry("expired", 19))) is None
    assert found("dead_key", one, **registry(entry(), entry("expired", 21))) is not None
    gone = install((LICENSED, 50, 10, KEY))
    assert found("dead_key", gone, **registry(entry(), entry("revoked", 9))) is None


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            [entry("revoked", 1)],
            "the registry imported on {1} had the key as revoked: since when it was revoked is not",
        ),
        (
            [entry("suspended", 90), entry("revoked", 5)],
            "the registry imported on {90} had the key as suspended: since",
        ),
        ([entry(), entry("revoked", 9)], "the registry had the key as revoked since the import of {9}"),
        ([entry(), entry("suspended", 9), entry("revoked", 5)], "had the key as suspended since the import of {9}"),
        ([entry(valid_until=date(2026, 11, 1))], "the registry had the key as valid until {27}"),
        ([entry(), entry("revoked", 5, valid_until=date(2026, 11, 1))], "the registry had the key as valid until {27}"),
    ],
)
def test_the_evidence_of_a_dead_key_has_the_dates_that_are_known(entries: Sequence[Entry], said: str) -> None:
    """Those of the registry, and those of the reports. What an import does not say is said to be unknown."""
    finding = found("dead_key", install((LICENSED, 50, 0, KEY)), **registry(*entries))
    assert finding is not None
    reported, registered = (piece.text for piece in finding.pieces)
    assert reported == f"the install claimed a license with this key {span(finding.since, NOW)}"
    dates = re.sub(r"{(\d+)}", lambda days: f"{ago(int(days[1])):%Y-%m-%d}", said)
    assert dates in registered


def test_the_key_of_another_module() -> None:
    """The registry has the key for another module only; that is no unknown key."""
    one = install((LICENSED, 4, 0, KEY))
    assert found("wrong_module", one, **registry(entry(), module="ticket_ai")) is not None
    assert found("unknown_key", one, **registry(entry(), module="ticket_ai")) is None
    assert found("wrong_module", one, **registry(entry())) is None


def holder(number: int, begin: float, end: int, place: int | None = None) -> Holder:
    days = frozenset((NOW - timedelta(days=n)).date() for n in range(end, int(begin) + 1))
    return Holder(number, ago(begin), days, frozenset({place if place is not None else 100 + number}), ago(begin), days)


def in_question(holders: Sequence[Holder], *entries: Entry) -> set[int]:
    known = Registered(entries) if entries else None
    return set(shared_key.find(KEY, holders, known, terms()))


def test_all_installs_of_a_shared_key_but_the_earliest_are_in_question() -> None:
    """More installs than the license and its copies allow, on more than three days."""
    assert in_question([holder(1, 29, 0), holder(2, 9, 0), holder(3, 9, 0)], entry()) == {2, 3}
    assert in_question([holder(1, 29, 0), holder(2, 9, 0)], entry()) == set()
    assert in_question([holder(1, 29, 0), holder(2, 9, 0), holder(3, 2, 0)], entry()) == set()
    assert in_question([holder(1, 29, 0), holder(2, 9, 0), holder(3, 9, 0)]) == {2, 3}
    assert in_question([holder(n, 29, 0) for n in range(9)], entry(max_installs=None)) == set()
    assert in_question([holder(n, 29, 0) for n in range(9)], entry(max_installs=8)) == set()


def test_installs_that_were_seen_first_on_the_same_day_have_no_probable_owner() -> None:
    """Then all are in question, and the evidence says so. Replicas behind one address are one install."""
    together = [holder(1, 29, 0), holder(2, 29, 0), holder(3, 9, 0)]
    assert in_question(together, entry()) == {1, 2, 3}
    hours = [holder(1, 29.4, 0), holder(2, 29.2, 0), holder(3, 9, 0)]
    assert in_question(hours, entry()) == {1, 2, 3}
    assert in_question([holder(1, 29, 0, 9), holder(2, 29, 0, 9), holder(3, 9, 0), holder(4, 9, 0)], entry()) == {3, 4}
    (told, *_) = shared_key.find(KEY, together, Registered((entry(),)), terms()).values()
    assert told.pieces[-1].text == shared_key.UNTOLD
    assert told.grade == "registry"
    (told, *_) = shared_key.find(KEY, [*together, holder(4, 29.9, 0)], Registered((entry(),)), terms()).values()
    assert shared_key.UNTOLD not in {piece.text for piece in told.pieces}


def test_what_is_measured_of_a_shared_key() -> None:
    """The days on which more installs used it than allowed, and the most on one day."""
    known = Registered((entry(),))
    told = shared_key.measured([holder(1, 29, 0), holder(2, 9, 0), holder(3, 9, 0), holder(4, 2, 0)], known)
    assert "more than 2 installs" in told
    assert "on 10 days, from 2026-11-19 to 2026-11-28; at most 4 on one day" in told
    assert shared_key.measured([holder(1, 29, 0), holder(2, 9, 0)], known) == ""


def test_installs_seen_once_or_behind_one_address_do_not_count() -> None:
    """Twenty invented ids in one POST, replicas behind one address, and a new id at each start."""
    assert in_question([holder(1, 29, 0), *(holder(n, 0, 0, 9) for n in range(2, 22))], entry()) == set()
    assert in_question([holder(1, 29, 0), *(holder(n, 0, 0) for n in range(2, 22))], entry()) == set()
    assert in_question([holder(n, 29, 0, 9) for n in range(6)], entry()) == set()
    assert in_question([holder(n, 28 - 2 * n, 26 - 2 * n) for n in range(10)], entry()) == set()


def test_a_cloned_install_has_three_networks_that_recur() -> None:
    """Three networks a day on four days; two, or ones that do not recur, are not enough."""

    def seen(days: int, *networks: int, change: bool = False) -> Install:
        by_day = {
            (NOW - timedelta(days=n)).date(): frozenset(each + 100 * n * change for each in networks)
            for n in range(days)
        }
        return install((LICENSED, 9, 0, KEY), networks=by_day)

    assert found("cloned_install", seen(4, 1, 2, 3)) is not None
    assert found("cloned_install", seen(3, 1, 2, 3)) is None
    assert found("cloned_install", seen(9, 1, 2)) is None
    assert found("cloned_install", seen(9, 1, 2, 3, change=True)) is None


def test_flapping_and_trials() -> None:
    """Four changes in two weeks; a trial of more than 45 days."""
    flapping = install(*((LICENSED if day % 2 else "unlicensed", day, day) for day in range(6, -1, -1)))
    assert found("flapping", flapping) is not None
    assert found("flapping", install((LICENSED, 9, 8), ("invalid", 7, 7), (LICENSED, 6, 0))) is None
    assert found("trial_overrun", install(("trial", 46, 0))) is not None
    assert found("trial_overrun", install(("trial", 45, 0))) is None


def test_a_source_that_the_catalog_does_not_declare() -> None:
    """Without declared sources there is no such flag."""
    one = install((LICENSED, 2, 0, KEY))
    assert found("unauthorized_source", one) is None
    assert found("unauthorized_source", one, sources=frozenset({"whmcs"})) is None
    assert found("unauthorized_source", one, sources=frozenset({"shop"})) is not None


CLAIMED = {
    "unknown_key": (install((LICENSED, 9, 0, OTHER)), registry(entry())),
    "missing_key": (install((LICENSED, 9, 0)), {"cohorts": {("invoice_pro", "3.2.1"): Cohort(20, 20)}}),
    "dead_key": (install((LICENSED, 50, 0, KEY)), registry(entry(), entry("revoked", 9))),
    "wrong_module": (install((LICENSED, 9, 0, KEY)), registry(entry(), module="ticket_ai")),
}


@pytest.mark.parametrize("rule", CLAIMED)
def test_days_that_nobody_received_are_a_claim(rule: str) -> None:
    """Recorded are the days from the first to the last report that arrived on its day, if they are enough alone."""
    one, more = CLAIMED[rule]
    begun, needed = (9, 6) if rule == "dead_key" else (9, 2)
    told = found(rule, one, **more)
    assert told is not None
    assert told.pieces[0].grade == "recorded"
    for received in (None, (1, 0), (50, 50)):
        claimed = found(rule, late(one, (0, 0) if rule == "dead_key" and received == (1, 0) else received), **more)
        assert claimed is not None
        if rule == "dead_key" and received == (1, 0):
            assert (claimed.since.date(), claimed.grade) == (NOW.date(), "registry")
            continue
        assert (claimed.grade, claimed.since, claimed.until) == ("claimed", ago(begun), NOW)
        assert "(recorded)" not in in_words(claimed.pieces)
    weaker = found(rule, late(one, (needed + 1, 1)), **more)
    assert weaker is not None
    assert (weaker.pieces[0].grade, weaker.since, weaker.until) == ("recorded", ago(needed + 1), ago(1))
    assert span(ago(needed + 1), ago(1)) in weaker.pieces[0].text


def test_a_shared_key_is_recorded_on_days_of_receipt_alone() -> None:
    """Posts of one moment that state days of a week are a claim: of the owner nothing is recorded."""
    moment = [
        replace(each, met=NOW, received=frozenset({NOW.date()}))
        for each in (holder(1, 4, 0), holder(2, 6, 0), holder(3, 6, 0))
    ]
    known = Registered((entry(),))
    claimed = shared_key.find(KEY, moment, known, terms())
    assert {finding.grade for finding in claimed.values()} == {"claimed"}
    assert {finding.pieces[-1].grade for finding in claimed.values()} == {"claimed"}
    # An owner whom the collector knows for longer is not in question, whatever the others say of themselves.
    owner = replace(holder(1, 4, 0), met=ago(4))
    assert set(shared_key.find(KEY, [owner, *moment[1:]], known, terms())) == {2, 3}
    # What two of them sent later adds no day to what was received.
    days = frozenset(ago(day).date() for day in range(4))
    later = [replace(each, received=days, met=ago(3)) for each in (holder(2, 20, 0), holder(3, 20, 0))]
    recorded = shared_key.find(KEY, [holder(1, 29, 0), *later], known, terms())
    assert {finding.pieces[0].grade for finding in recorded.values()} == {"recorded"}
    assert {finding.since.date() for finding in recorded.values()} == {ago(3).date()}


def test_a_cloned_install_is_recorded_on_days_of_receipt_alone() -> None:
    """Networks of days that nobody received are a claim."""
    networks = {ago(day).date(): frozenset({1, 2, 3}) for day in range(6)}
    one = install((LICENSED, 9, 0, KEY), networks=networks)
    assert found("cloned_install", one).grade == "claimed"  # type: ignore[union-attr]
    four = {day: networks[day] for day in sorted(networks)[-4:]}
    recorded = found("cloned_install", replace(one, received=four))
    assert recorded is not None
    assert (recorded.grade, recorded.since.date()) == ("recorded", ago(3).date())


TIMELESS = re.compile(r"\b(since|is|has|have|itself reports|claims|sends|knows|names|declares|allows)\b")
KNOWN = registry(entry(), entry("revoked", 9))


@pytest.mark.parametrize(
    ("rule", "one", "more", "said"),
    [
        ("unlicensed", install(("unlicensed", 9, 4), ("invalid", 3, 1)), {}, "unlicensed or invalid from 9 to 1,"),
        ("lapsed", install(("expired", 20, 2)), {}, "reported expired from 20 to 2,"),
        ("unknown_key", install((LICENSED, 9, 1, OTHER)), KNOWN, "sent a license key from 9 to 1"),
        (
            "missing_key", install((LICENSED, 9, 1)),
            {"cohorts": {("invoice_pro", "3.2.1"): Cohort(20, 20)}}, "sent no key from 9 to 1",
        ),
        ("dead_key", install((LICENSED, 50, 1, KEY)), KNOWN, "with this key from 9 to 1"),
        ("wrong_module", install((LICENSED, 9, 1, KEY)), registry(entry(), module="x"), "with this key from 9 to 1"),
        (
            "cloned_install",
            install((LICENSED, 9, 1), networks={ago(day).date(): frozenset({1, 2, 3}) for day in range(2, 9)}), {},
            "from 8 to 2",
        ),
        (
            "flapping", install(*((("trial", "expired")[day % 2], day, day) for day in range(9, 2, -1))), {},
            "from 8 to 3",
        ),
        ("trial_overrun", install(("trial", 60, 1)), {}, "a trial from 60 to 1,"),
        ("unauthorized_source", install((LICENSED, 9, 1)), {"sources": frozenset({"shop"})}, "license from 9 to 1"),
    ],
)  # fmt: skip
def test_evidence_is_true_whenever_it_is_read(rule: str, one: Install, more: dict[str, Any], said: str) -> None:
    """It says in the past tense from when to when the install reported it: it may be silent, or licensed, since."""
    finding = found(rule, one, **more)
    assert finding is not None
    days = re.sub(r"\bfrom (\d+) to (\d+)", lambda to: span(ago(int(to[1])), ago(int(to[2]))), said)
    assert days in finding.pieces[0].text
    assert span(finding.since, finding.until) in days
    assert not TIMELESS.search(" ".join(piece.text for piece in finding.pieces).replace("since the import of", ""))


def test_the_evidence_of_a_shared_key_is_true_whenever_it_is_read() -> None:
    """The days are those on which too many installs used it."""
    holders = [holder(1, 29, 0), holder(2, 9, 1), holder(3, 9, 2)]
    for known in (Registered((entry(),)), None):
        (finding, *_) = shared_key.find(KEY, holders, known, terms()).values()
        assert span(ago(9), ago(2)) in finding.pieces[0].text
        assert not TIMELESS.search(" ".join(piece.text for piece in finding.pieces))


def test_what_began_in_an_incident_counts_from_its_end() -> None:
    """No flag while it lasts; afterwards the run counts anew."""
    one = install((LICENSED, 30, 11), ("unlicensed", 10, 0))
    during = Incident("invoice_pro", ago(10.5), None, 50, 100)
    assert found("unlicensed", one, incidents=[during]) is None
    over = replace(during, until=ago(4))
    assert found("unlicensed", one, incidents=[over]).since == ago(4)  # type: ignore[union-attr]
    assert found("unlicensed", one, incidents=[replace(during, until=ago(2))]) is None
    assert found("unlicensed", one, incidents=[replace(during, module="ticket_ai")]).since == ago(10)  # type: ignore[union-attr]


def test_the_severity_follows_the_weakest_necessary_piece() -> None:
    """A claim lowers the severity by one step; a piece that is not necessary does not."""
    for rule in RULES:
        assert rule.innocent
        assert rule.severity_of("claimed") != rule.severity_of("registry") == rule.severity
    strong, weak = Piece("a", "recorded"), Piece("b", "claimed", necessary=False)
    assert Finding(NOW, NOW, (strong, weak)).grade == "recorded"
    assert Finding(NOW, NOW, (strong, Piece("c", "registry"))).grade == "registry"
