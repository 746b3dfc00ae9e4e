"""Prometheus metrics of the collector. Its workers share them through files in memory."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from collector.spool import Spool

BEACONS = Counter("pharos_beacons", "Beacons by outcome; rejected beacons also by reason.", ["outcome", "reason"])
REASONS = Counter("pharos_beacons_accepted_by_reason", "Accepted beacons by the reason they were sent.", ["reason"])
# Looked up once: `labels` costs more than an increment.
ACCEPTED, DUPLICATE = BEACONS.labels("accepted", ""), BEACONS.labels("duplicate", "")
CLOCK_SKEWED = Counter("pharos_beacons_clock_skewed", "Accepted beacons counted on the day of receipt.")
DEFERRED = Counter("pharos_heartbeats_deferred", "Answers whose `next_in` is a day longer because of load.")
UNDECLARED = Counter("pharos_undeclared", "Items dropped because the catalog does not declare them, by kind.", ["kind"])
REFUSED = Counter("pharos_requests_refused", "Requests rejected as a whole, by reason.", ["reason"])


class _SpoolGauges:
    """Reads the spool at each scrape."""

    def __init__(self, path: Path, now: float) -> None:
        self._path, self._now = path, now

    def collect(self) -> Iterator[Metric]:
        spool = Spool(self._path)
        try:
            stats, loading = spool.stats(), spool.loading()
        finally:
            spool.close()
        yield GaugeMetricFamily("pharos_spool_beacons", "Beacons not yet in ClickHouse.", stats.beacons)
        yield GaugeMetricFamily(
            "pharos_spool_oldest_seconds", "Age of the oldest beacon not yet in ClickHouse.", self._since(stats.oldest)
        )
        yield GaugeMetricFamily("pharos_spool_batches", "Sealed batches not yet in ClickHouse.", stats.sealed)
        yield GaugeMetricFamily(
            "pharos_spool_quarantined", "Rows that ClickHouse rejected because of their content.", stats.quarantined
        )
        yield CounterMetricFamily(
            "pharos_beacons_loaded", "Beacons that left the spool for ClickHouse.", loading.loaded
        )
        yield GaugeMetricFamily(
            "pharos_aggregates_lag_seconds",
            "Age of the time up to which the aggregates are complete.",
            self._since(loading.fresh_to),
        )
        yield GaugeMetricFamily(
            "pharos_loader_failing_seconds",
            "Seconds since loading began to fail; 0 while it works.",
            self._since(loading.since),
        )

    def _since(self, moment: float | None) -> float:
        return 0.0 if moment is None else max(0.0, self._now - moment)


def exposition(spool: Path, now: float) -> bytes:
    """Return the counters of all workers and the state of the spool, in Prometheus text format."""
    registry = CollectorRegistry()
    with suppress(ValueError):  # the folder of the counters was removed: the spool's figures are there all the same
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_SpoolGauges(spool, now))
    return generate_latest(registry)
