"""What the collector counts, for Prometheus; shared by its workers through files in memory."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from collector.spool import Spool

BEACONS = Counter("pharos_beacons", "Beacons by outcome; rejected ones by reason.", ["outcome", "reason"])
REASONS = Counter("pharos_beacons_accepted_by_reason", "Accepted beacons by why they were sent.", ["reason"])
# Looked up once: `labels` costs more than counting.
ACCEPTED, DUPLICATE = BEACONS.labels("accepted", ""), BEACONS.labels("duplicate", "")
CLOCK_SKEWED = Counter("pharos_beacons_clock_skewed", "Accepted beacons counted on the day of receipt.")
REFUSED = Counter("pharos_requests_refused", "Requests refused as a whole, by reason.", ["reason"])


class _SpoolGauges:
    """Reads the spool at each scrape."""

    def __init__(self, path: Path, now: float) -> None:
        self._path, self._now = path, now

    def collect(self) -> Iterator[Metric]:
        spool = Spool(self._path)
        try:
            stats = spool.stats()
        finally:
            spool.close()
        age = 0.0 if stats.oldest is None else max(0.0, self._now - stats.oldest)
        yield GaugeMetricFamily("pharos_spool_beacons", "Beacons not yet in ClickHouse.", stats.beacons)
        yield GaugeMetricFamily("pharos_spool_oldest_seconds", "Age of the oldest of them.", age)
        yield GaugeMetricFamily("pharos_spool_batches", "Sealed batches under way.", stats.sealed)
        yield GaugeMetricFamily("pharos_spool_quarantined", "Rows set aside for a person.", stats.quarantined)


def exposition(spool: Path, now: float) -> bytes:
    """The counters of all workers and the state of the spool, in Prometheus text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_SpoolGauges(spool, now))
    return generate_latest(registry)
