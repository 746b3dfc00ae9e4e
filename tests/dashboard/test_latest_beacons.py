"""The card of the latest beacons of development keys: what its rows say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dashboard.pages.data.latest import row_of, verdict
from warehouse.queries.development import Tried

STORED = {
    "day": "2026-11-22", "module": "invoice_pro", "version": "3.2.1", "php": "8.2.12", "country": "NL",
    "features": {"pdf": 2, "bulk_email": 1},
}  # fmt: skip
ONE = Tried(
    datetime(2026, 11, 22, 10, 0, 7, tzinfo=UTC), "1a2b", "accepted", "", "", False, STORED, ["license.source"], {}
)


def test_a_row_has_what_would_be_stored() -> None:
    """The values of the usage plane, and the names of what only the license plane stores."""
    assert row_of(ONE) == [
        "2026-11-22 10:00:07",
        "1a2b",
        "invoice_pro 3.2.1",
        "Accepted",
        "platform.php 8.2.12, country NL; features: bulk_email 1, pdf 2; in the license plane alone: license.source",
    ]


def test_a_rejected_beacon_has_no_fields() -> None:
    """Of a request that could not be read not even the module is known."""
    rejected = replace(ONE, outcome="rejected", reason="malformed_json", stored={}, license_only=[])
    assert row_of(rejected)[2:] == ["–", "Rejected: malformed_json", "–"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"outcome": "rejected", "reason": "bad_format", "field": "platform.php"},
            "Rejected: bad_format at platform.php",
        ),
        ({"outcome": "undeclared"}, "Not stored: the catalog does not declare the module"),
        ({"undeclared": {"source": 1, "feature": 2}}, "Accepted, without 2 features and 1 source not in the catalog"),
        ({"clock_skewed": True}, "Accepted; the clock is wrong"),
    ],
)
def test_a_verdict_is_a_sentence(changes: dict[str, object], said: str) -> None:
    """It says what became of the beacon and why."""
    assert verdict(replace(ONE, **changes)) == said  # type: ignore[arg-type]
