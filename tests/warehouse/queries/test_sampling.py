"""Estimates: what they say about their error is true, and k holds for the sample."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.home import Home
from tests.bench import figures
from tests.bench.estimates import sampled_beyond
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse.engine import Engine
from warehouse.migrate import migrate
from warehouse.queries import metrics, sampling

INSTALLS, DAYS = 4000, 45
FILLED = ("installs_by_month", "features_by_month", "installs")
QUESTIONS: list[tuple[str, dict[str, str]]] = [
    ("installs", {}),
    ("installs", {"by": "php_series"}),
    ("installs", {"by": "php"}),
    ("installs", {"by": "php_series", "grain": "week", "php_series.lt": "8.2"}),
    ("installs", {"by": "os,license_status", "grain": "month"}),
    ("installs", {"by": "whmcs_series", "grain": "period", "count": "latest"}),
    ("installs", {"by": "country", "grain": "day", "count": "latest"}),
    ("feature_installs", {"grain": "period"}),
    ("feature_installs", {"feature": "feature.7", "by": "country", "grain": "week"}),
    ("feature_uses", {"grain": "period"}),
    ("feature_uses", {"feature": "feature.7", "by": "none"}),
]


@pytest.mark.parametrize(("installs", "divisor"), [(60, 10), (500, 10), (5000, 40), (100, 3)])
def test_an_interval_holds_the_truth_19_times_of_20(installs: int, divisor: int) -> None:
    """Drawn two thousand times: the number of installs lies in the interval of its sample in about 95%."""
    drawn = random.Random(installs)
    held = 0
    for _ in range(2000):
        counted = sum(drawn.random() < 1 / divisor for _ in range(installs))
        low, high = sampling.interval(counted, counted, divisor)
        held += low <= installs <= high
    assert 0.935 < held / 2000 < 0.985


def test_an_interval_holds_sums_too() -> None:
    """Also where a few installs have most of the uses."""
    drawn = random.Random(7)
    uses = [int(drawn.paretovariate(1.5)) for _ in range(3000)]
    held = 0
    for _ in range(500):
        sample = [each for each in uses if drawn.random() < 1 / 10]
        low, high = sampling.interval(sum(sample), sum(each**2 for each in sample), 10)
        held += low <= sum(uses) <= high
    assert held / 500 > 0.85  # no interval knows of an install that is not in the sample


def contents(engine: Engine) -> list[tuple[Any, ...]]:
    """Rows and a checksum of the tables that the benchmark fills at once."""
    return [
        *engine.query("SELECT count(), sum(cityHash64(*, variant)) FROM installs_by_month"),
        *engine.query("SELECT count(), sum(cityHash64(*)) FROM installs"),
        *engine.query(
            "SELECT count(), sum(cityHash64(module, feature, install, month, variant, reported, used, "
            "mapSort(uses)::String)) FROM features_by_month"
        ),
    ]


def estimated(engine: Engine, home: Home) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each question's exact answer beside its estimate from a tenth of the installs."""
    migrate(engine)
    figures.fill(engine, INSTALLS * DAYS, DAYS)
    by_day = contents(engine)
    for table in FILLED:
        engine.command(f"TRUNCATE TABLE {engine.altered(table)}")
    figures.fill_at_once(engine, INSTALLS * DAYS, DAYS)
    assert contents(engine) == by_day
    today = datetime.now(UTC).date()
    span = {"from": str(today - timedelta(days=DAYS - 1)), "to": str(today)}
    queries = [metrics.parse(metric, {**span, **arguments}, today) for metric, arguments in QUESTIONS]
    exact = [metrics.answer(engine, query, 1) for query in queries]
    with sampled_beyond(INSTALLS * DAYS // 10):
        estimates = [metrics.answer(engine, query, 1) for query in queries]
        folded = metrics.answer(engine, metrics.parse("installs", {**span, "by": "php", "grain": "period"}, today), 5)
    return [*zip(exact, estimates, strict=True), ({}, folded)]


@pytest.mark.parametrize("kind", ENGINES)
def test_estimates_are_as_good_as_they_say(kind: str, tmp_path: Path) -> None:
    """Nine of ten exact figures and more lie in the interval of their estimate. The same sample answers everything."""
    *pairs, (_, folded) = done_in(kind, tmp_path, estimated)
    within, rows = 0, 0
    for exact, estimate in pairs:
        assert exact["exact"]
        assert "sampled" not in exact
        assert not estimate["exact"]
        assert estimate["sampled"] == 0.1
        truth = {(row["bucket"], str(row.get("key", row.get("keys")))): row["value"] for row in exact["rows"]}
        for row in estimate["rows"]:
            value = truth[row["bucket"], str(row.get("key", row.get("keys")))]
            low, high = row["interval"]
            assert row["value"] % 10 == 0
            assert low <= row["value"] <= high
            within, rows = within + (low <= value <= high), rows + 1
    assert rows > 500
    assert within / rows > 0.9
    # 50 is the estimate of 5 installs in the sample.
    assert all(row["value"] >= 50 for row in folded["rows"])
    assert folded["suppressed"] > 0
