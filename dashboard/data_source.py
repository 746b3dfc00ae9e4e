"""Asks the warehouse for a page: each question once, however many charts of the page have it."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from core.access_log import AccessLog
from core.catalog import Catalog
from core.home import Home
from core.settings import Settings
from dashboard.audited_licensing import AuditedLicensing
from dashboard.filters import Filters, today
from dashboard.gaps import Received
from warehouse import install_data
from warehouse.engine import Engine
from warehouse.queries import health, metrics
from warehouse.queries.small_groups import OTHER

# The charts of one page ask at the same moment, and half of them for the same total. Far below the ten seconds after
# which a beacon must be in the figures.
KEPT_SECONDS = 2.0
# Counting the beacons of three days reads a column of a month, and the page that shows them asks every few seconds.
HOURS_KEPT_SECONDS = 30.0

Answer = dict[str, Any]
Question = tuple[str, frozenset[tuple[str, str]]]


class DataSource:
    """The answers of the read API's queries, each kept for `KEPT_SECONDS`. Threads that ask the same wait for one.

    `catalog` says how features and modules are called.
    """

    def __init__(
        self, engine: Engine, settings: Settings, home: Home, catalog: Callable[[], Catalog], access_log: AccessLog
    ) -> None:
        self._engine = engine
        self.k, self.rounded = settings.k, settings.rounded
        self.administers = not settings.clickhouse_readers  # whether ClickHouse's own tables can be asked
        self.catalog = catalog
        self.access_log = access_log
        self.audited_licensing = AuditedLicensing(engine, access_log)
        self._home = home
        self._hours: tuple[float, tuple[datetime | None, dict[datetime, int]]] | None = None
        self._kept: dict[Question, tuple[float, Answer]] = {}
        self._locks: dict[Question, threading.Lock] = {}
        self._lock = threading.Lock()

    def ask(self, metric: str, args: Mapping[str, str]) -> Answer:
        """The contract's answer. Raises `QueryError` and `EngineError`."""
        query = metrics.parse(metric, args, today())
        question = metric, frozenset(args.items())
        with self._lock:
            self._forget_old()
            lock = self._locks.setdefault(question, threading.Lock())
        with lock:
            kept = self._kept.get(question)
            if kept is None or kept[0] < time.monotonic():
                answer = metrics.answer(self._engine, query, self.k, rounded=self.rounded)
                kept = self._kept[question] = time.monotonic() + KEPT_SECONDS, answer
        return kept[1]

    def total(self, args: Mapping[str, str]) -> int | None:
        """Active installs over the whole period; 0 when there are none, None when they are fewer than k."""
        rows = self.ask("installs", {**args, "grain": "period"})["rows"]
        return int(rows[0]["value"]) if rows and rows[0]["value"] is not None else None if rows else 0

    def received(self, chosen: Filters) -> Received:
        """Of which days there are beacons of any module. Raises `EngineError`."""
        return Received(*metrics.days_with_beacons(self._engine, chosen.start, chosen.end))

    def fresh_to(self) -> str | None:
        """Up to when all beacons are in the figures. Raises `EngineError`."""
        return metrics.fresh_to(self._engine)

    def loaders(self) -> list[health.Loader]:
        """What the loaders tell of themselves. Raises `EngineError`."""
        return health.loaders(self._engine)

    def engine(self) -> str:
        """Which ClickHouse this is. Raises `EngineError`."""
        return f"{'embedded' if self._engine.embedded else 'server'}, version {self._engine.version()}"

    def beacons_per_hour(self, now: datetime) -> tuple[datetime | None, dict[datetime, int]]:
        """The first beacon's time ever, and the beacons of each of the last hours. Raises `EngineError`."""
        kept = self._hours
        if kept is None or kept[0] < time.monotonic():
            found = health.beacons_per_hour(self._engine, now)
            kept = self._hours = time.monotonic() + HOURS_KEPT_SECONDS, found
        return kept[1]

    def tables(self) -> list[health.Table]:
        """The tables with their sizes. Raises `EngineError`."""
        return health.tables(self._engine)

    def rights_requests(self) -> list[install_data.Requested]:
        """What owners asked, newest first. Raises `EngineError`."""
        return install_data.requests(self._engine)

    def disk(self) -> tuple[int, int]:
        """The bytes that are free on the disk of this home, and its size."""
        usage = shutil.disk_usage(self._home.path)
        return usage.free, usage.total

    def modules(self) -> list[str]:
        """The names for the module filter: those that are no small group in what is held. Raises `EngineError`."""
        span = {"from": (today() - timedelta(days=metrics.MOST_DAYS - 1)).isoformat(), "grain": "period"}
        rows = self.ask("installs", {**span, "by": "module"})["rows"]
        return sorted(row["key"] for row in rows if row["key"] != OTHER)

    def _forget_old(self) -> None:
        now = time.monotonic()
        for question in [question for question, (until, _) in list(self._kept.items()) if until < now]:
            del self._kept[question]
            if question in self._locks and not self._locks[question].locked():
                del self._locks[question]
