"""The list of cases: what the flags and the decisions make of a case, its order, its filters, its totals."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse import install_data
from warehouse.cases.dossier import dossier
from warehouse.cases.keys import known
from warehouse.cases.last_reports import last_reports
from warehouse.cases.listing import case, cases
from warehouse.cases.revisions import Change, write
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.licensing import flags, state_rows
from warehouse.licensing.flags import Flag
from warehouse.licensing.states import DAY, NOWHERE, Report, of_report
from warehouse.migrate import migrate
from warehouse.queries.metrics import QueryError

NOW = datetime.now(UTC).replace(microsecond=0)


def flag(install: int, rule: str = "unlicensed", **changes: Any) -> Flag:
    """Return the first revision of a flag."""
    made = Flag(
        "invoice_pro", install, rule, 1, "raised", NOW - timedelta(hours=1), NOW - timedelta(days=5), NOW, 0,
        "warning", "recorded", 1, "in words", '[{"text": "in words", "grade": "recorded"}]', "the evidence holds",
    )  # fmt: skip
    return replace(made, **changes)


def told(engine: Engine, flag_or_number: int, key: int = 0) -> tuple[str, bool, str]:
    found = case(engine, Subject("invoice_pro", 0 if key else flag_or_number, key))
    assert found is not None
    return found.state, found.reopened, found.evidence.grade


def decide(engine: Engine, number: int, state: str, *, seen: int = 0, assignee: str = "", key: int = 0) -> None:
    subject = Subject("invoice_pro", 0 if key else number, key)
    found = case(engine, subject)
    assert found is not None
    change = Change(subject, seen, "ada", state, assignee, evidence=found.evidence)
    write(engine, change, datetime.now(UTC))


def raise_flags(engine: Engine, events: list[Flag], name: str) -> None:
    """Write events. On a cluster, wait until each replica has them."""
    flags.write(engine, events, name)
    if engine.cluster:
        table, _, cluster = engine.altered("license_flags").partition(" ON CLUSTER ")
        engine.command(f"SYSTEM SYNC REPLICA ON CLUSTER {cluster} {engine.database}.{table}")


def reopening(engine: Engine, home: Home) -> dict[str, Any]:
    """Dismiss, and let the evidence grow in each way, and in none."""
    migrate(engine)
    shared = [flag(number, "shared_key", key=9, reach=4) for number in (21, 22, 23)]
    first = [flag(number, grade="claimed" if number == 3 else "recorded") for number in range(1, 9)]
    raise_flags(engine, [*first, *shared], "first")
    for number in range(1, 8):
        decide(engine, number, "resolved" if number in (5, 6) else "dismissed")
    decide(engine, 0, "dismissed", key=9)
    closed = [told(engine, number)[:2] for number in range(1, 8)] + [told(engine, 0, 9)[:2]]
    later = datetime.now(UTC) + timedelta(seconds=1)
    again = [
        # 1: the same again after it was cleared; 2: another rule; 3: a stronger grade; 4: disputed.
        flag(1, revision=2, event="cleared", at=later), flag(1, revision=3, at=later),
        flag(2, "wrong_module", at=later),
        flag(3, revision=2, event="changed", at=later),
        flag(4, revision=2, event="paused", at=later),
        # Resolved, 5: raised anew; 6: cleared. Dismissed, 7: cleared. Never touched, 8: cleared.
        flag(5, revision=2, event="cleared", at=later), flag(5, revision=3, at=later),
        *(flag(number, revision=2, event="cleared", at=later) for number in (6, 7, 8)),
        # The key: not twice as many.
        *(flag(number, "shared_key", key=9, reach=7, revision=2, event="changed", at=later) for number in (21, 22, 23)),
    ]  # fmt: skip
    raise_flags(engine, again, "again")
    grown = [told(engine, number)[:2] for number in range(1, 9)] + [told(engine, 0, 9)[:2]]
    doubled = [flag(number, "shared_key", key=9, reach=8, revision=3, event="changed") for number in (21, 22, 23)]
    raise_flags(engine, doubled, "doubled")
    known = dossier(engine, Subject("invoice_pro", 0, 9))
    return {
        "closed": closed, "grown": grown, "doubled": told(engine, 0, 9)[:2],
        "flags": sorted((one.install, one.reach) for one in known.flags),
        "events": sorted({event.text.partition(":")[0] for event in known.events}),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ENGINES)
def test_a_closed_case_comes_back_only_with_new_evidence(kind: str, tmp_path: Path) -> None:
    """A new rule, a stronger grade or twice the reach bring a dismissed case back. The same evidence does not."""
    found = done_in(kind, tmp_path, reopening)
    dismissed, resolved = ("dismissed", False), ("resolved", False)
    assert found["closed"] == [*[dismissed] * 4, *[resolved] * 2, dismissed, dismissed]
    assert found["grown"] == [
        dismissed, ("open", True), ("open", True), dismissed, ("open", True), resolved, dismissed,
        ("cleared", False), dismissed,
    ]  # fmt: skip
    assert found["doubled"] == ("open", True)
    assert found["flags"] == [(21, 8), (22, 8), (23, 8)]
    assert found["events"] == ["Flag shared key changed", "Flag shared key raised"]


def listing(engine: Engine, home: Home) -> dict[str, Any]:
    """List twelve cases in many ways. Install 10 reported for two days, ten days ago, and has been silent since."""
    migrate(engine)
    shared = [flag(number, "shared_key", key=9, reach=4) for number in (21, 22, 23)]
    singles = [
        flag(number, since=NOW - timedelta(days=number), at=NOW - timedelta(days=number),
             until=NOW - timedelta(days=8 if number == 10 else 0),
             severity="critical" if number == 3 else "notice", grade="claimed" if number > 5 else "recorded")
        for number in range(1, 11)
    ]  # fmt: skip
    other = flag(1, module="ticket_ai", event="paused")
    flags.write(engine, [*singles, *shared, other], "all")
    decide(engine, 1, "contacted", assignee="ada")
    decide(engine, 2, "dismissed")

    def order(after: int = 0, limit: int = 50, **args: str) -> list[int]:
        found, _ = cases(engine, args, who="ada", seen=NOW - timedelta(days=2, hours=1), after=after, limit=limit)
        return [one.subject.install or one.subject.key * 100 for one in found]

    errors = []
    for wrong in (
        {"state": "gone"},
        {"sort": "best"},
        {"what": "1"},
        {"module": "x" * 65},
        {"grade": "a,b"},
        {"key": "9"},
    ):
        try:
            cases(engine, wrong)
        except QueryError as error:
            errors.append(error.param)
    now = int(NOW.timestamp())
    reports = {number: Report("unlicensed", 77 + number // 4, "", "1", True, "") for number in (3, 4, 5)}
    states = {("invoice_pro", each): of_report(now - each * DAY, said, NOWHERE) for each, said in reports.items()}
    state_rows.insert(engine, states, "reports")
    last = last_reports(engine, cases(engine, {"state": "all"})[0])
    install_data.erase(engine, {"license": {1}})
    return {
        "worst": order(), "days": [one.days for one in cases(engine, {})[0]],
        "pages": [order(limit=4), order(after=4, limit=4)], "oldest": order(sort="oldest"),
        "all": len(order(state="all")), "critical": order(severity="critical"), "claimed": order(grade="claimed"),
        "rule": order(rule="shared_key"), "new": sorted(order(new="1", state="all")),
        "dismissed": order(state="dismissed"), "module": order(module="ticket_ai", state="all"),
        "mine": order(assignee="me"), "errors": errors,
        "last": {subject.install: (NOW - at).days for subject, at in last.items()},
        "key": [order(key=f"{key:016x}") for key in (9, 77, 78, 79)], "keys": order(key=f"{9:016x},{77:016x}"),
        "known": [(one.key, one.module, one.installs, one.registered) for one in known(engine, [9, 77, 78, 79])],
        "total": cases(engine, {})[1],
    }  # fmt: skip


def test_the_list_has_an_order_filters_and_a_total(tmp_path: Path) -> None:
    """Worst is grade × reach × the days of reports: silence does not count.

    The installs of a key are one case. The total counts cases, installs and keys.
    """
    found = done_in("embedded", tmp_path, listing)
    assert found["worst"] == [900, 5, 4, 3, 9, 8, 7, 6, 10]
    assert found["days"] == [5, 5, 4, 3, 9, 8, 7, 6, 2]
    assert found["pages"] == [found["worst"][:4], found["worst"][4:8]]
    assert found["oldest"] == [10, 9, 8, 7, 6, 5, 900, 4, 3] or found["oldest"][:5] == [10, 9, 8, 7, 6]
    assert found["all"] == 10
    assert (found["critical"], found["claimed"], found["rule"]) == ([3], [9, 8, 7, 6, 10], [900])
    assert found["new"] == [2, 900]
    assert (found["dismissed"], found["module"], found["mine"]) == ([2], [], [])
    assert found["errors"] == ["state", "sort", "query", "module", "grade", "key"]
    assert found["last"] == {3: 3, 4: 4, 5: 5}
    assert (found["key"], found["keys"]) == ([[900], [3], [5, 4], []], [900, 3])
    assert found["known"] == [(77, "invoice_pro", 1, None), (78, "invoice_pro", 2, None)]
    assert (found["total"].cases, found["total"].installs, found["total"].keys) == (9, 11, 1)
