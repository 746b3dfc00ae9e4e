"""The picture of licensing: flags by week, flagged installs that buy, and the unlicensed share with its interval."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.batch_insert import insert_batch
from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.cases.test_listing import flag
from tests.warehouse.test_engine import done_in
from warehouse.cases import flagged
from warehouse.cases.listing import case
from warehouse.cases.revisions import Change, write
from warehouse.cases.subjects import Subject
from warehouse.cases.trends import SOON_DAYS, estimated, series_of, trends, wilson
from warehouse.engine import Engine
from warehouse.licensing import flags
from warehouse.licensing.states import NOWHERE, Report, State, merged, of_report
from warehouse.migrate import migrate

NOW = datetime.now(UTC).replace(microsecond=0)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def sighting(install: int, days: float, status: str, version: str = "3.2.1") -> bytes:
    return msgspec.json.encode({
        "time": f"{days_ago(days):%Y-%m-%d %H:%M:%S.000}", "install": install, "beacon": install * 1000 + int(days),
        "source_install": install + 500,
        "module": "invoice_pro", "version": version,
        "status": status, "source": "whmcs", "key": 0, "ip": "", "ip_claim": "", "country": "",
    })  # fmt: skip


def picture(engine: Engine, home: Home) -> dict[str, Any]:
    """Sixteen installs: 1 to 4 are flagged 100 days ago, 1 buys soon, 2 late; 5 shares a key and says licensed; 6 to 16
    are in order. Of the cases, that of 3 is resolved, that of 4 dismissed."""
    migrate(engine)
    seen = [sighting(number, 120, "unlicensed") for number in range(1, 5)]
    seen += [sighting(number, 2, "unlicensed") for number in (3, 4)]
    seen += [sighting(1, 95, "licensed"), sighting(2, 50, "licensed"), sighting(1, 2, "licensed"),
             sighting(2, 2, "licensed"), sighting(5, 120, "licensed"), sighting(5, 1, "licensed"),
             sighting(90, 200, "licensed", "9.9.9")]  # fmt: skip
    seen += [sighting(number, 1, "licensed", "3.2.9" if number < 12 else "4.0.1") for number in range(6, 17)]
    insert_batch(engine, "license", "reports", seen)
    made = [flag(number, at=days_ago(100), since=days_ago(101)) for number in range(1, 5)]
    made += [flag(number, "shared_key", key=9, reach=2, at=days_ago(9), since=days_ago(12)) for number in (5, 17)]
    made += [flag(number, revision=2, event="cleared", at=days_ago(40)) for number in (1, 2)]
    made += [flag(6, "flapping", event="paused", at=days_ago(9))]
    flags.write(engine, made, "flags")
    for number, state in ((3, "resolved"), (4, "dismissed")):
        subject = Subject("invoice_pro", number, 0)
        found = case(engine, subject)
        assert found is not None
        write(engine, Change(subject, 0, "ada", state, evidence=found.evidence), NOW)
    found_all, other = trends(engine, "", 3, NOW), trends(engine, "ticket_ai", 3, NOW)
    few = trends(engine, "invoice_pro", 12, NOW).unlicensed
    flagged.MOST, most = 3, flagged.MOST
    try:
        return {"all": found_all, "other": other, "k": few, "sample": trends(engine, "", 3, NOW)}
    finally:
        flagged.MOST = most


@pytest.mark.parametrize("kind", ENGINES)
def test_the_picture(kind: str, tmp_path: Path) -> None:
    """A flag about a key counts once. Who said licensed when flagged does not convert. Dismissed cases do not count."""
    found = done_in(kind, tmp_path, picture)
    picture_of = found["all"]
    by_week = {week: rules for week, rules in picture_of.flags.items() if rules}
    monday = (days_ago(9) - timedelta(days=days_ago(9).weekday())).date()
    assert by_week[monday] == {"flapping": 1, "shared_key": 1}
    assert sorted(str(rules) for rules in by_week.values()) == [
        str({"flapping": 1, "shared_key": 1}),
        str({"unlicensed": 4}),
    ]
    assert len(picture_of.flags) == 26
    (month,) = picture_of.conversion
    assert (month.flagged, month.soon, month.now) == (4, 1, 2)
    assert (picture_of.resolved, picture_of.dismissed) == (1, 1)
    rows = {(each.module, each.version): each for each in picture_of.unlicensed}
    assert set(rows) == {("invoice_pro", "3.2"), ("invoice_pro", "4.0")}
    # 3 is resolved, 5 and 6 are not closed, 4 is dismissed.
    series = rows["invoice_pro", "3.2"]
    assert (series.installs, series.flagged) == (11, 3)
    assert series.estimate is None
    assert (series.low, series.high) == pytest.approx(((1 + 2 * 0.09453) / 11, (1 + 2 * 0.90547) / 11), abs=1e-4)
    assert (rows["invoice_pro", "4.0"].installs, rows["invoice_pro", "4.0"].high) == (5, 0)
    assert (found["other"].unlicensed, found["other"].conversion) == ([], [])
    assert [(each.version, each.installs) for each in found["k"]] == [("(other)", 16)]
    # 1, 2 and 3 of the seven with flags; of 1 to 3 each stands for two and a third.
    sample = found["sample"]
    assert (picture_of.sampled, sample.sampled) == (1, 3 / 7)
    assert [(each.flagged, each.soon, each.now) for each in sample.conversion] == [(7, 2, 5)]
    assert {each.version: (each.installs, each.flagged) for each in sample.unlicensed} == {
        "3.2": (11, 2),
        "4.0": (5, 0),
    }


def test_the_version_of_an_install_is_the_highest_of_its_last_day() -> None:
    """As versions compare, in whichever order they are told."""
    assert series_of(["3.9.0", "3.10.1"]) == series_of(["3.10.1", "3.9.0"]) == "3.10"
    assert series_of(["odd"]) == "odd"
    assert series_of(["1.0", "odd"]) == "1.0"


def test_what_a_flagged_install_reported() -> None:
    """What it reported when it was flagged counts, not what came later that day; and the first `licensed` after it."""

    def report(hours: int, status: str, version: str = "1.0") -> State:
        return of_report(hours * 3600, Report(status, 0, "", version, True, ""), NOWHERE)

    raised = datetime(1970, 1, 3, 12, tzinfo=UTC)
    state = merged([report(24, "licensed"), report(59, "trial"), report(61, "licensed"), report(90, "licensed", "1.2"),
                    report(91, "expired", "1.1")])  # fmt: skip
    found = flagged.made("m", raised, state, suspect=True, real=False)
    assert (found.before, found.licensed, found.now) == ("trial", datetime(1970, 1, 3, 13, tzinfo=UTC), "expired")
    assert (found.last, found.versions) == (date(1970, 1, 4), frozenset({"1.1", "1.2"}))
    assert flagged.made("m", datetime(1970, 1, 1, tzinfo=UTC), state, suspect=True, real=False).before == ""


def test_the_interval_of_a_share() -> None:
    """Wilson's interval, as published: 10 of 20 are 30% to 70%. Without a closed case nothing is known."""
    assert wilson(10, 20) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert wilson(0, 0) == (0, 1)
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    open_alone = estimated("m", "1.0", 10, 0, 4, 0, 0)
    assert (open_alone.estimate, open_alone.low, open_alone.high) == (None, 0, 0.4)
    assert estimated("m", "1.0", 10, 0, 0, 0, 0).estimate == 0
    assert estimated("m", "1.0", 10, 1, 4, 9, 0).estimate is None
    well = estimated("m", "1.0", 10, 1, 4, 10, 10)
    assert well.estimate == pytest.approx(0.3)
    assert (well.low, well.high) == pytest.approx((0.1 + 0.4 * 0.2993, 0.1 + 0.4 * 0.7007), abs=1e-4)
    assert SOON_DAYS == 30
