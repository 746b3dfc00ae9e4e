"""How true sampled answers are: random questions, each answered from all installs and from the sample."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from warehouse.engine import Engine
from warehouse.queries import metrics, sampling
from warehouse.queries.metric_query import MetricQuery

DAYS = 90
BY = ("none", "module", "version_series", "os", "virtualization", "whmcs_series", "php_series", "php", "country",
      "license_status", "php_series,os", "whmcs_series,country")  # fmt: skip
FILTERS = (
    {"module": "invoice_pro"}, {"module": "chat_box"}, {"os": "debian"}, {"country": "DE"}, {"php_series.lt": "8.1"},
    {"php_series": "8.2"}, {"license_status": "trial"}, {"whmcs_series.in": "8.1,8.2,8.11"},
    {"php_series.ge": "8.1", "os": "ubuntu"},
)  # fmt: skip


def questions(number: int, today: date) -> Iterator[MetricQuery]:
    """Yield random questions about 30 to 90 days."""
    rng = random.Random(number)
    for _ in range(number):
        metric = rng.choice(metrics.METRICS)
        days = rng.randint(30, DAYS)
        end = today - timedelta(days=rng.randint(0, DAYS - days))
        args = {"from": str(end - timedelta(days=days - 1)), "to": str(end), "grain": rng.choice(metrics.GRAINS)}
        args["by"] = rng.choice(BY if metric == "installs" else (*BY, "feature"))
        if metric == "installs":
            args["count"] = rng.choice(metrics.COUNTS)
        elif args["by"] != "feature":
            args["feature"] = f"feature.{rng.randrange(40)}"
        if rng.random() < 0.5:
            args |= rng.choice(FILTERS)
        yield metrics.parse(metric, args, today)


@contextmanager
def sampled_beyond(install_days: int) -> Iterator[None]:
    """More install-days than these are answered from a sample, which has about so many."""
    before = sampling.EXACT_INSTALL_DAYS, sampling.SAMPLE_INSTALL_DAYS
    sampling.EXACT_INSTALL_DAYS = sampling.SAMPLE_INSTALL_DAYS = install_days
    try:
        yield
    finally:
        sampling.EXACT_INSTALL_DAYS, sampling.SAMPLE_INSTALL_DAYS = before


def measure(engine: Engine, number: int, k: int, today: date) -> str:
    """Return in how many questions, and of how many figures, the truth is in the interval of the estimate.

    A question counts as true if at least 95% of its figures are.
    """
    sampled = true = figures = within = 0
    worst = 0.0
    for query in questions(number, today):
        estimate = metrics.answer(engine, query, k)
        if estimate["exact"]:
            continue
        with sampled_beyond(2**63):
            rows = metrics.answer(engine, query, k)["rows"]
        truth = {(row["bucket"], str(row.get("key", row.get("keys")))): row["value"] for row in rows}
        compared = [
            (row, truth[key])
            for row in estimate["rows"]
            if row["value"] is not None and (key := (row["bucket"], str(row.get("key", row.get("keys"))))) in truth
        ]
        held = sum(row["interval"][0] <= value <= row["interval"][1] for row, value in compared)
        worst = max([worst, *(abs(row["value"] - value) / value for row, value in compared if value >= 1000)])
        sampled, true = sampled + 1, true + (held >= 0.95 * len(compared))
        figures, within = figures + len(compared), within + held
    return (
        f"{sampled} of {number} random questions are answered from a sample: {true / max(sampled, 1):.1%} of them are "
        f"true, and {within / max(figures, 1):.1%} of their {figures:,} figures; the worst of a thousand installs or "
        f"more is {worst:.1%} off"
    )
