"""The events of a flag, purely: raised, changed, paused, resumed, cleared, and nothing when nothing changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from warehouse.licensing.findings import Finding, Piece, span
from warehouse.licensing.flags import Flag, event

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FINDING = Finding(NOW - timedelta(days=5), NOW, (Piece("it reports unlicensed", "claimed"),))


def follow(finding: Finding | None, before: Flag | None = None, *, disputed: bool = False) -> Flag | None:
    return event(("invoice_pro", 1), "unlicensed", finding, before, disputed=disputed, now=NOW)


def raised() -> Flag:
    flag = follow(FINDING)
    assert flag is not None
    return flag


def test_a_flag_is_raised_once() -> None:
    """The same finding again is no event; none without a finding."""
    flag = raised()
    assert (flag.event, flag.revision, flag.severity, flag.grade) == ("raised", 1, "warning", "claimed")
    assert follow(FINDING, flag) is None
    assert follow(None) is None


def test_a_change_of_the_evidence_is_an_event_that_says_what() -> None:
    """A reach that grows is one only when it doubles."""
    flag = raised()
    changed = follow(replace(FINDING, pieces=(Piece("it reports invalid", "claimed"),)), flag)
    assert changed is not None
    assert (changed.event, changed.revision, changed.why) == ("changed", 2, "changed: the evidence")
    three = follow(replace(FINDING, reach=2), flag)
    assert three is not None
    assert three.why == "changed: the reach"
    assert follow(replace(FINDING, reach=3), three) is None


def test_the_last_report_is_written_anew_when_the_days_have_doubled() -> None:
    """A revision each day would show on which days the install reported."""

    def lasting(days: int) -> Finding:
        until = FINDING.since + timedelta(days=days)
        return replace(FINDING, until=until, pieces=(Piece(f"reported {span(FINDING.since, until)}", "claimed"),))

    flag = follow(lasting(5))
    assert flag is not None
    assert follow(lasting(7), flag) is None
    changed = follow(lasting(8), flag)
    assert changed is not None
    assert (changed.why, changed.until) == ("changed: the number of days", FINDING.since + timedelta(days=8))
    assert changed.evidence == "reported from 2026-11-23 to at least 2026-12-01 (claimed)"


def test_a_flag_of_the_last_days_keeps_its_start() -> None:
    """Its rule sees a start that moves on with the days: a revision each day would show when the install reported."""
    flag, revisions = None, 0
    for day in range(90):
        since, until = NOW + timedelta(days=max(0, day - 30)), NOW + timedelta(days=day)
        finding = Finding(since, until, (Piece(f"reported {span(since, until)}", "claimed"),))
        made = event(("invoice_pro", 1), "shared_key", finding, flag, disputed=False, now=until)
        flag, revisions = made or flag, revisions + bool(made)
    assert flag is not None
    assert flag.since == NOW
    assert flag.evidence == f"reported {span(NOW, NOW + timedelta(days=64))} (claimed)"
    assert revisions == 8  # the first, and with 1, 2, 4, 8, 16, 32 and 64 days
    # What is recorded does not begin with a claim.
    seen = Finding(NOW + timedelta(days=80), NOW + timedelta(days=89), (Piece("reported", "recorded"),))
    recorded = event(("invoice_pro", 1), "shared_key", seen, flag, disputed=False, now=NOW)
    assert recorded is not None
    assert recorded.since == seen.since
    # An earlier start is told, and one of a flag that was cleared does not come back.
    late = Finding(NOW - timedelta(days=3), NOW, (Piece("reported", "claimed"),))
    earlier = event(("invoice_pro", 1), "shared_key", late, flag, disputed=False, now=NOW)
    assert earlier is not None
    assert earlier.since == late.since
    cleared = event(("invoice_pro", 1), "shared_key", None, flag, disputed=False, now=NOW)
    again = event(("invoice_pro", 1), "shared_key", FINDING, cleared, disputed=False, now=NOW)
    assert again is not None
    assert again.since == FINDING.since


def test_a_dispute_pauses_and_its_end_resumes() -> None:
    """A paused flag keeps up with its evidence and stays paused."""
    paused = follow(FINDING, raised(), disputed=True)
    assert paused is not None
    assert (paused.event, paused.paused, paused.open) == ("paused", True, True)
    assert follow(FINDING, paused, disputed=True) is None
    still = follow(replace(FINDING, reach=8), paused, disputed=True)
    assert still is not None
    assert still.paused
    resumed = follow(FINDING, still)
    assert resumed is not None
    assert (resumed.event, resumed.revision) == ("resumed", 4)
    at_once = follow(FINDING, disputed=True)
    assert at_once is not None
    assert (at_once.event, at_once.revision) == ("paused", 1)


def test_a_flag_is_cleared_and_may_be_raised_again() -> None:
    """With the next revision."""
    cleared = follow(None, raised())
    assert cleared is not None
    assert (cleared.event, cleared.open, cleared.revision) == ("cleared", False, 2)
    assert follow(None, cleared) is None
    again = follow(FINDING, cleared)
    assert again is not None
    assert (again.event, again.revision) == ("raised", 3)
