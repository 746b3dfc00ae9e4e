"""Alert rules and Grafana board: each metric that they name is in a scrape, and each alert fires when it should."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.metrics import METRICS as OF_COLLECTOR
from collector.rights.request_store import RequestStore
from collector.spool import Spool
from collector.validate import Reason
from core.home import Home
from core.outbox import Outbox
from dashboard.metrics import METRICS as OF_DASHBOARD
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = (DEPLOY / "prometheus/rules.yml").read_text(encoding="utf-8")
BOARD = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
ALERTS = re.findall(r"- alert: (\w+)\n", RULES)
EXPRESSIONS = [
    *re.findall(r"^        expr: (.+)$", RULES, re.MULTILINE),
    *[target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", [])],
]
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian package prometheus)")


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The metrics of a collector that has accepted, rejected and refused. An event and an owner's request wait."""
    home = Home(tmp_path_factory.mktemp("scraped") / "home")
    Outbox(home.dashboard).take([("one", "a case", b"{}")], 0, time.time() - 100)
    with closing(Spool(home.spool)) as spool:
        RequestStore(spool).add(b"ticket", 1, "erase", 1, time.time() - 200, lambda _: {"who": 1})
        spool.note_judging(time.time() - 300)
    webhook = {"PHAROS_WEBHOOK_URL": "http://127.0.0.1:1/", "PHAROS_WEBHOOK_SECRET": f"whsec_{'QUJD' * 8}"}
    with Collector(home.path, PHAROS_INGEST_KEY=KEY, **webhook) as collector:
        collector.post([beacon(), beacon({"reason": "because"})])
        collector.post(b"NaN")
        yield collector.request("GET", "/metrics").body.decode()


def test_a_scrape_has_the_metrics_of_the_registry_and_no_other(scrape: str) -> None:
    """Each metric of the registry is there with its kind, but for those with labels that have not occurred."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", scrape, re.MULTILINE))
    expected = {each.series: each.kind for each in OF_COLLECTOR}
    assert kinds.items() <= expected.items()
    assert set(expected) - set(kinds) == {"pharos_undeclared_total"}
    for each in OF_COLLECTOR:
        for labels in re.findall(rf"^{each.series}\{{(.*)\}} ", scrape, re.MULTILINE):
            assert set(re.findall(r'(\w+)="', labels)) == set(each.labels)
    values = dict(re.findall(r"^(pharos_\w+) (\S+)$", scrape, re.MULTILINE))
    assert float(values["pharos_webhook_events"]) == 1
    assert float(values["pharos_webhook_oldest_seconds"]) >= 100
    assert float(values["pharos_rights_oldest_pending_seconds"]) >= 200
    assert float(values["pharos_judging_failing_seconds"]) >= 300


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_only_what_a_scrape_has(expression: str) -> None:
    """Its metrics are in the registry, and its labels and their values are those of the metric."""
    series = {each.series: each for each in (*OF_COLLECTOR, *OF_DASHBOARD)}
    matched = re.findall(r"(pharos_\w+)(?:\{([^}]*)\})?", expression)
    jobs = re.findall(r'up\{job="([\w-]+)"\}', expression)
    assert matched or jobs
    for config in ("prometheus.yml", "kubernetes.yml"):
        assert set(jobs) <= set(re.findall(r"job_name: (.+)", (DEPLOY / "prometheus" / config).read_text()))
    for name, matchers in matched:
        for label, value in re.findall(r'(\w+)="([^"]*)"', matchers):
            assert label in series[name].labels or (label, value) == ("instance", "$instance")
            if label != "instance":
                assert value in series[name].meaning or value in (*Reason, *STATUSES)


def test_the_alerts_are_complete() -> None:
    """Each alert has a severity, a summary and what to do."""
    for text in RULES.split("- alert: ")[1:]:
        assert re.search(r"labels: \{severity: (page|ticket)\}\n", text)
        assert re.search(r'summary: ".+"\n', text)
        assert re.search(r'runbook: ".+"\n', text)


# Answers of the dashboard that alerts look for: refusals and failures.
STATUSES = "429", "500"

# For each alert: series that fire it, and series that do not.
FLOWING = 'pharos_beacons_total{outcome="accepted",reason="",job="pharos",instance="a"}'
CASES = {
    "PharosCollectorDown": (['up{job="pharos",instance="a"} 0x2400'], ['up{job="pharos",instance="a"} 1x2400']),
    "PharosBeaconsNotAccepted": (
        ['pharos_requests_refused_total{reason="unavailable",instance="a"} 0+1x2400'],
        ['pharos_requests_refused_total{reason="bad_format",instance="a"} 0+1x2400'],
    ),
    "PharosDiskFillsUp": (
        ['pharos_spool_free_bytes{instance="a"} 30000000000-16000000x2400'],
        ['pharos_spool_free_bytes{instance="a"} 400000000000-16000000x2400'],
    ),
    "PharosLoaderFails": (
        ['pharos_loader_failing_seconds{instance="a"} 0+60x2400'],
        ['pharos_loader_failing_seconds{instance="a"} 500x2400'],
    ),
    "PharosSpoolIsOld": (
        ['pharos_spool_oldest_seconds{instance="a"} 0+60x2400'],
        ['pharos_spool_oldest_seconds{instance="a"} 60x2400'],
    ),
    "PharosFiguresAreLate": (
        ['pharos_aggregates_lag_seconds{instance="a"} 0+60x2400'],
        ['pharos_aggregates_lag_seconds{instance="a"} 60x2400'],
    ),
    "PharosRowsInQuarantine": (
        ['pharos_spool_quarantined{instance="a"} 2x2400'],
        ['pharos_spool_quarantined{instance="a"} 0x2400'],
    ),
    "PharosNoBeacons": ([f"{FLOWING} 0+1x1500 1500x900"], [f"{FLOWING} 0+1x2400"]),
    "PharosBeaconsRejected": (
        [f"{FLOWING} 0+90x2400", 'pharos_beacons_total{outcome="rejected",reason="bad_format",instance="a"} 0+10x2400'],
        [f"{FLOWING} 0+99x2400", 'pharos_beacons_total{outcome="rejected",reason="bad_format",instance="a"} 0+1x2400'],
    ),
    "PharosRateLimited": (
        ['pharos_requests_refused_total{reason="rate_limited",instance="a"} 0+1x2400'],
        ['pharos_requests_refused_total{reason="rate_limited",instance="a"} 5x2400'],
    ),
    "PharosClocksDiffer": (
        [f"{FLOWING} 0+9x2400", 'pharos_beacons_clock_skewed_total{instance="a"} 0+1x2400'],
        [f"{FLOWING} 0+99x2400", 'pharos_beacons_clock_skewed_total{instance="a"} 0+1x2400'],
    ),
    "PharosHeartbeatsDeferred": (
        ['pharos_heartbeats_deferred_total{instance="a"} 0+1x2400'],
        ['pharos_heartbeats_deferred_total{instance="a"} 7x2400'],
    ),
    "PharosJudgingFails": (
        ['pharos_judging_failing_seconds{instance="a"} 0+60x2400'],
        ['pharos_judging_failing_seconds{instance="a"} 1500x2400'],
    ),
    "PharosRightsRequestWaits": (
        ['pharos_rights_oldest_pending_seconds{instance="a"} 0+60x2400'],
        ['pharos_rights_oldest_pending_seconds{instance="a"} 600x2400'],
    ),
    "PharosWebhookWaits": (
        ['pharos_webhook_oldest_seconds{instance="a"} 0+60x2400'],
        ['pharos_webhook_oldest_seconds{instance="a"} 3600x2400'],
    ),
    "PharosDashboardDown": (
        ['up{job="pharos-dashboard",instance="a"} 0x2400'],
        ['up{job="pharos-dashboard",instance="a"} 1x2400'],
    ),
    "PharosFiguresFail": (
        ['pharos_figures_failing_seconds{instance="a"} 0+60x2400'],
        ['pharos_figures_failing_seconds{instance="a"} 200x2400'],
    ),
    "PharosDashboardFails": (
        ['pharos_dashboard_requests_total{kind="page",status="500",instance="a"} 0+1x2400'],
        ['pharos_dashboard_requests_total{kind="page",status="404",instance="a"} 0+1x2400'],
    ),
    "PharosQueriesLimited": (
        [
            'pharos_queries_total{outcome="answered",instance="a"} 0+90x2400',
            'pharos_queries_total{outcome="limited",instance="a"} 0+10x2400',
        ],
        [
            'pharos_queries_total{outcome="answered",instance="a"} 0+99x2400',
            'pharos_queries_total{outcome="limited",instance="a"} 0+1x2400',
        ],
    ),
    "PharosQuestionsRefused": (
        ['pharos_dashboard_requests_total{kind="api",status="429",instance="a"} 0+1x2400'],
        ['pharos_dashboard_requests_total{kind="api",status="200",instance="a"} 0+1x2400'],
    ),
    "PharosEmailsFail": (
        ['pharos_emails_total{kind="digest",outcome="failed",instance="a"} 0+0.1x2400'],
        [
            'pharos_emails_total{kind="digest",outcome="failed",instance="a"} 1x2400',
            'pharos_emails_total{kind="digest",outcome="sent",instance="a"} 0+1x2400',
        ],
    ),
}


def scenario(alert: str, series: list[str], fires: bool) -> str:
    """A test of promtool, a minute a sample: whether the alert fires at the end."""
    inputs = "".join(f"      - series: '{name}'\n        values: '{values}'\n" for name, values in map(_split, series))
    hours = 40 if "1d" in RULES.partition(f"alert: {alert}\n")[2].partition("\n")[0] else 9
    expected = "[{labels: '{}', value: 1}]" if fires else "[]"
    return (
        f"  - interval: 1m\n    input_series:\n{inputs}    promql_expr_test:\n"
        f'      - expr: count(ALERTS{{alertname="{alert}",alertstate="firing"}})\n'
        f"        eval_time: {hours}h\n        exp_samples: {expected}\n"
    )


def _split(series: str) -> tuple[str, str]:
    name, _, values = series.partition(" ")
    return name, values


@needs_promtool
def test_each_alert_fires_and_keeps_silent(tmp_path: Path) -> None:
    """Prometheus itself evaluates the rules on series that call for the alert, and on series that do not."""
    assert list(CASES) == ALERTS
    shutil.copytree(DEPLOY / "prometheus", tmp_path, dirs_exist_ok=True)
    scenarios = [
        scenario(alert, series, fires)
        for alert, (guilty, quiet) in CASES.items()
        for series, fires in ((guilty, True), (quiet, False))
    ]
    # At each fifth sample: the end of hours is the same, and is a fifth of the work.
    head = "rule_files: [rules.yml]\nevaluation_interval: 5m\ntests:\n"
    (tmp_path / "cases.yml").write_text(head + "".join(scenarios), encoding="utf-8")
    # Debian's Prometheus has no discovery in Kubernetes.
    discovery, in_kubernetes = "kubernetes_sd_configs: [{role: pod}]", (tmp_path / "kubernetes.yml").read_text()
    assert in_kubernetes.count(discovery) == 2
    (tmp_path / "kubernetes.yml").write_text(in_kubernetes.replace(discovery, ""))
    commands = "check config prometheus.yml", "check config --syntax-only kubernetes.yml", "test rules cases.yml"
    for command in commands:
        assert PROMTOOL is not None
        done = subprocess.run([PROMTOOL, *command.split()], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_board_has_no_two_panels_in_one_place() -> None:
    """Panels have ids of their own, a title, a unit and a text that says what to look for, and do not overlap."""
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    for panel in BOARD["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
