"""Prometheus metrics of the collector. Its workers share the counters through files in memory.

`METRICS` lists them all. The reference, the alert rules and the Grafana board are checked against it.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from collector.rights.request_store import RequestStore
from collector.spool import Loading, Spool, Stats
from core.home import Home
from core.outbox import Outbox, OutboxError, Told
from core.scrapes import Meaning

METRICS: list[Meaning] = []


@dataclass(frozen=True)
class _Read:
    """What a scrape reads: the spool, the progress of its loader, and the time (epoch seconds).

    `pending` is when the oldest owner's request that waits was received, `judging` since when judging fails; None if
    neither is so. `outbox` is None without a webhook, or if the dashboard that sends has another home.
    """

    stats: Stats
    loading: Loading
    free: int
    now: float
    pending: int | None
    judging: float | None
    outbox: Told | None

    def since(self, moment: float | None) -> float:
        return 0.0 if moment is None else max(0.0, self.now - moment)


_READ: list[tuple[Meaning, Callable[[_Read], float | None]]] = []


def _counted(name: str, meaning: str, *labels: str) -> Counter:
    """A counter that the workers increment."""
    METRICS.append(Meaning(name, "counter", meaning, labels))
    return Counter(name, meaning, labels)


def _read(name: str, kind: Literal["counter", "gauge"], meaning: str, of: Callable[[_Read], float | None]) -> None:
    """A figure that each scrape reads; None leaves it out."""
    METRICS.append(Meaning(name, kind, meaning))
    _READ.append((METRICS[-1], of))


BEACONS = _counted(
    "pharos_beacons",
    "beacons by `outcome` (`accepted`, `duplicate`, `objected`, `undeclared`, `rejected`), rejected ones by `reason`",
    "outcome",
    "reason",
)
REASONS = _counted("pharos_beacons_accepted_by_reason", "accepted beacons by their `reason`", "reason")
# Looked up once: `labels` costs more than an increment.
ACCEPTED, DUPLICATE = BEACONS.labels("accepted", ""), BEACONS.labels("duplicate", "")
CLOCK_SKEWED = _counted("pharos_beacons_clock_skewed", "accepted beacons that were counted on the day of receipt")
DEFERRED = _counted("pharos_heartbeats_deferred", "answers whose `next_in` is a day longer because of load")
UNDECLARED = _counted(
    "pharos_undeclared",
    "values that the catalog rejects, by `kind`: `module` (beacons), `feature` (names in stored beacons), "
    "`source` (stored beacons)",
    "kind",
)
REFUSED = _counted("pharos_requests_refused", "requests rejected as a whole, by `reason`", "reason")

_read("pharos_spool_beacons", "gauge", "beacons that are not yet in ClickHouse", lambda at: at.stats.beacons)
_read("pharos_spool_oldest_seconds", "gauge", "the age of the oldest of them", lambda at: at.since(at.stats.oldest))
_read("pharos_spool_batches", "gauge", "sealed batches in progress", lambda at: at.stats.sealed)
_read("pharos_spool_quarantined", "gauge", "rows whose content ClickHouse rejected", lambda at: at.stats.quarantined)
_read(
    "pharos_spool_free_bytes",
    "gauge",
    "free space on the spool's disk; beacons get a 503 below 256 MiB or 5%, the smaller",
    lambda at: at.free,
)
_read("pharos_beacons_loaded", "counter", "beacons loaded into ClickHouse", lambda at: at.loading.loaded)
_read(
    "pharos_aggregates_lag_seconds",
    "gauge",
    "the lag of the aggregates: the age of `fresh_to`",
    lambda at: at.since(at.loading.fresh_to),
)
_read(
    "pharos_loader_failing_seconds",
    "gauge",
    "how long the loader has been failing; 0 while it works",
    lambda at: at.since(at.loading.since),
)
_read(
    "pharos_judging_failing_seconds",
    "gauge",
    "how long judging licenses has been failing, so that no flag begins or ends; 0 while it works",
    lambda at: at.since(at.judging),
)
_read(
    "pharos_rights_oldest_pending_seconds",
    "gauge",
    "the age of the oldest owner's request that is not carried out; 0 if none waits",
    lambda at: at.since(at.pending),
)
_read(
    "pharos_webhook_events",
    "gauge",
    "events that wait for the webhook's receiver, if the dashboard has the collector's home",
    lambda at: at.outbox.waiting if at.outbox else None,
)
_read(
    "pharos_webhook_oldest_seconds",
    "gauge",
    "the age of the oldest of them; an event is dropped after a day",
    lambda at: at.since(at.outbox.oldest) if at.outbox else None,
)


class _HomeFigures:
    """Reads the spool and the outbox of a home at each scrape."""

    def __init__(self, home: Home, now: float, *, webhook: bool) -> None:
        self._home, self._now, self._webhook = home, now, webhook

    def collect(self) -> Iterator[Metric]:
        outbox = None
        if self._webhook:
            with suppress(OutboxError):
                outbox = Outbox(self._home.dashboard).told_from_outside()
        spool = Spool(self._home.spool)
        try:
            at = _Read(
                spool.stats(),
                spool.loading(),
                spool.free_bytes(),
                self._now,
                RequestStore(spool).oldest_pending(),
                spool.judging_since(),
                outbox,
            )
        finally:
            spool.close()
        for metric, of in _READ:
            family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            if (value := of(at)) is not None:
                yield family(metric.name, metric.meaning, value)


def exposition(home: Home, now: float, *, webhook: bool) -> bytes:
    """Return the counters of all workers and the state of the home, in Prometheus text format."""
    registry = CollectorRegistry()
    with suppress(ValueError):  # the folder of the counters was removed: the spool's figures are there all the same
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_HomeFigures(home, now, webhook=webhook))
    return generate_latest(registry)
