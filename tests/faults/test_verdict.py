"""The verdict detects lost, doubled and foreign beacons."""

from dataclasses import replace

import pytest

from tests.faults.verdict import TABLES, Answered, Difference, Verdict, compare, expected

LEDGER = [
    Answered("2026-11-22", "invoice_pro", 1, 10, 2, 5, 50, 8, "licensed", "reseller"),
    Answered("2026-11-22", "invoice_pro", 1, 11, 3, 5, 51, 8, "licensed", "reseller"),
    Answered("2026-11-23", "invoice_pro", 2, 12, 0, 6, 52, 9, "trial", "reseller"),
]
GOOD = Verdict(3, dict.fromkeys(TABLES, Difference(0, 0)), (5, 5), "", [])


@pytest.mark.parametrize("name", TABLES)
def test_it_sees_what_differs(name: str) -> None:
    """In every table a missing key is lost, and a key with too much or unknown is doubled."""
    must = expected(TABLES[name], LEDGER)
    rows = [(*key, number) for key, number in must.items()]
    assert compare(must, rows) == Difference(0, 0)
    assert compare(must, rows[1:]) == Difference(1, 0)
    assert compare(must, [(*rows[0][:-1], rows[0][-1] + 1), *rows[1:]]) == Difference(0, 1)
    assert compare(must, [*rows, (*("strange",) * (len(rows[0]) - 1), 1)]) == Difference(0, 1)


def test_uses_are_summed_and_installs_are_not() -> None:
    """Two beacons of an install on one day are five uses of one install."""
    assert expected(TABLES["features_by_month"], LEDGER)["2026-11-22", "invoice_pro", 1] == 5
    assert expected(TABLES["license_states"], LEDGER)["2026-11-22", "invoice_pro", 5, "licensed", "reseller"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, tables={**GOOD.tables, "usage_beacons": Difference(1, 0)}),
        replace(GOOD, tables={**GOOD.tables, "license_states": Difference(0, 1)}),
        replace(GOOD, tables={}),
        replace(GOOD, uses=(5, 6)),
        replace(GOOD, recount="usage, 2026-11-22: the rows say 5, the aggregate 6"),
        replace(GOOD, wrong=["status 500: "]),
    ],
)
def test_one_difference_is_enough(bad: Verdict) -> None:
    """The verdict is good only if all tables, the read API, the recount and the responses are."""
    assert GOOD.good
    assert not bad.good
