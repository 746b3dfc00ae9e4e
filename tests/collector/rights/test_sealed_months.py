"""The aggregates of a restricted install, sealed by month and put back."""

from typing import Any

import msgspec

from collector.rights.sealed_months import DAYS, FEATURES, INSTALLS, Rows, put_back

SAME: dict[str, Any] = {"module": "invoice_pro", "install": 7, "month": "2026-10-01", "edition": 0}


def features(name: str, used: int, **changes: Any) -> dict[str, Any]:
    return {**SAME, "feature": name, "variant": 1, "reported": 31, "used": used, "uses": {}, **changes}


def put(days: dict[str, Any], *of_features: dict[str, Any]) -> dict[str, Any]:
    """Return the row of days as it is put back."""
    rows: Rows = {DAYS: [days], FEATURES: [*of_features], INSTALLS: []}
    (line,) = put_back(rows, [], 5)[DAYS]
    found: dict[str, Any] = msgspec.json.decode(line)
    return found


def test_days_of_use_come_back_as_they_were_sealed() -> None:
    """Whatever the features say."""
    assert put({**SAME, "days": 31, "used": 4}, features("a", 3)) == {**SAME, "days": 31, "used": 4, "edition": 5}


def test_days_of_use_that_an_earlier_version_did_not_seal_follow_from_the_features() -> None:
    """Of the same module and month, and of days on which these values were reported."""
    others = features("a", 8, module="bulk_mailer"), features("a", 8, month="2026-09-01")
    row = put({**SAME, "days": 0b10111}, features("a", 0b00001), features("b", 0b01100), *others)
    assert row == {**SAME, "days": 0b10111, "used": 0b00101, "edition": 5}
