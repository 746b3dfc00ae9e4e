"""The loader: moves sealed batches from the spool to ClickHouse, and never loses or duplicates one.

A batch is inserted into each plane under an id of that plane, which is also its deduplication token. After any error
the outcome is unknown, and the loader sends the same batch again: ClickHouse drops it if it has it. The loader
quarantines only rows that ClickHouse cannot read, one by one.
"""

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import msgspec

from collector import compaction
from collector.batch_insert import TABLES, counted_before, insert_batch, without_known
from collector.judging import Judging
from collector.planes import Planes, encode
from collector.rights.executor import RightsExecutor
from collector.rights.request_store import RequestStore
from collector.sealed_reports import fill
from collector.settled_clock import SettledClock
from collector.source_counts import Renaming
from collector.spool import PLANES, Batch, Plane, Spool, Unavailable
from collector.spool.rejections import Rejection
from core.fields import example
from warehouse import freshness, install_data, retention
from warehouse.engine import ContentError, Engine, EngineError
from warehouse.licensing import states_key
from warehouse.licensing.judge import Judge
from warehouse.licensing.state_codec import OtherKey
from warehouse.migrate import MigrationError, migrate
from warehouse.plane_tables import Plane as RowPlane
from warehouse.server_users import ServerUser

# 10,000 rows of 1 KB are one block and take ClickHouse some 50 ms. A tenth of the rows takes nearly as long.
BATCH = 10_000
POLL_SECONDS = 0.5
# With a server, the loader pauses after a small batch, because the tables remember only a million tokens of batches.
PAUSE_SECONDS = 3.0
BACKOFF_SECONDS = (0.5, 30.0)
FRESHNESS_SECONDS = 5.0
FORGET_SECONDS = 3600.0
# While a loader of the version before runs, it inserts license reports in clear.
FILL_SECONDS = 3600.0
# Longer than ClickHouse is ever away.
KEPT_REJECTIONS = timedelta(days=30)
STOP_SECONDS = 5.0
RETENTION_SECONDS = 86400.0
RIGHTS_RETRY_SECONDS = 5.0
DEVELOPMENT_RETRY_SECONDS = 5.0
# The spool's log keeps the rows of both planes side by side for at most this long when no beacon arrives, and else for
# `BUSY_CLEAR_SECONDS`: emptying it holds up the collector.
CLEAR_SECONDS = 10.0
BUSY_CLEAR_SECONDS = 60.0

log = logging.getLogger("pharos.loader")


class _Install(msgspec.Struct):
    install: int


class Loader:
    """Loads the beacons of one spool. A spool has one loader: hold the home's `loader` lock.

    `clock` returns the wall time. `steady` is a monotonic clock and measures all intervals.
    """

    def __init__(
        self,
        spool: Spool,
        engine: Engine,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        judge: Judge | None = None,
    ) -> None:
        """Without `judge` it raises no flags."""
        self._spool = spool
        self._engine = engine
        self._clock, self._steady = clock, steady
        self._age = SettledClock(clock, steady)
        self._judging = (
            None if judge is None else Judging(spool, engine, judge, clock, steady, settled=self._age.settled)
        )
        self._id = spool.loader_id()
        self._store = RequestStore(spool)
        self._rights = RightsExecutor(self._store, engine, clock)
        self._renaming = Renaming(engine)
        self._rejections: dict[Rejection, int] = {}  # as ClickHouse has them
        self._pauses = False
        self._fresh_at = self._forgot_at = self._retained_at = self._cleared_at = self._rights_at = float("-inf")
        self._development_at = self._filled_at = float("-inf")
        self._to_clear = True  # a previous loader may have left data in the log

    @property
    def _loading(self) -> Engine:
        """The engine as the user that may only load. Maintenance needs the administrator."""
        return self._engine.as_user(ServerUser.LOADER)

    def run(self, stop: threading.Event) -> None:
        """Migrate, then load until `stop` is set. After an error, retry with growing delays.

        A thread compacts the memory of duplicates meanwhile, even if ClickHouse is down.
        """
        compacting = compaction.start(self._spool.path, stop)
        self._load(stop)
        compacting.join(STOP_SECONDS)

    def _load(self, stop: threading.Event) -> None:
        wait = BACKOFF_SECONDS[0]
        migrated = False
        while not stop.is_set():
            try:
                if not migrated:
                    if applied := migrate(self._engine):
                        log.info("applied %s", ", ".join(applied))
                    self._claim()
                    fill(self._engine)
                    self._filled_at = self._steady()
                    migrated = True
                busy = self.step()
                wait = BACKOFF_SECONDS[0]
            except Exception as error:
                known = isinstance(error, EngineError | MigrationError | Unavailable)
                why = str(error) if known else f"the loader failed: {type(error).__name__}"
                log.warning("loading failed, will retry in %.1f s: %s", wait, why, exc_info=not known)
                with suppress(Unavailable, EngineError):
                    self._spool.note_trouble(self._clock(), why)
                    self._tell_freshness(self._clock(), why)
                stop.wait(wait * random.uniform(0.8, 1.2))  # noqa: S311
                wait = min(wait * 2, BACKOFF_SECONDS[1])
                continue
            if not busy:
                stop.wait(PAUSE_SECONDS if self._pauses else POLL_SECONDS)

    def _claim(self) -> None:
        """Record whose database this is. A home with another root secret loads too, and the log says what that does."""
        try:
            states_key.claim(self._engine)
        except OtherKey as error:
            log.error("%s", error)

    def step(self) -> bool:
        """Load one batch and do due maintenance; returns whether more batches may be waiting."""
        if self._engine.embedded:
            # On a full disk an insert may change its table but not the aggregates.
            self._spool.check_space()
        began = self._clock()
        batch = self._spool.seal(BATCH)
        if batch is not None:
            self._store.note_later(batch)
            self.load(batch)
        asked = self._carry_out()
        self._move_development()
        passing = self._judging is not None and self._judging.step(self._rights.deleting())
        self._run_maintenance(began, idle=batch is None)
        self._pauses = batch is not None and not self._engine.embedded
        return asked or passing or (batch is not None and batch.last - batch.first + 1 >= BATCH // 10)

    def _carry_out(self) -> bool:
        """Carry out owners' requests. A failure does not delay beacons."""
        if self._steady() < self._rights_at:
            return False
        try:
            done = self._rights.step()
            if self._judging is not None:
                self._judging.note_installs(self._rights.take_stated())
            return done
        except (EngineError, Unavailable) as error:
            log.warning("owners' requests failed, will retry in %.0f s: %s", RIGHTS_RETRY_SECONDS, error)
            self._rights_at = self._steady() + RIGHTS_RETRY_SECONDS
            return False

    def _move_development(self) -> None:
        """Move what was posted with development keys to ClickHouse. A failure does not delay beacons.

        A row that is inserted twice, because a crash came between, has the same id.
        """
        if self._steady() < self._development_at:
            return
        try:
            if rows := self._spool.development():
                self._loading.insert("development_beacons", [row for _, row in rows], token=str(uuid.uuid4()))
                self._spool.delete_development(rows[-1][0])
                self._to_clear = True
        except (EngineError, Unavailable) as error:
            log.warning("beacons of development keys are not shown yet: %s", error)
            self._development_at = self._steady() + DEVELOPMENT_RETRY_SECONDS

    def load(self, batch: Batch) -> None:
        """Load a sealed batch into both planes, then delete it from the spool."""
        for plane in PLANES:
            id = batch.id(plane)
            if id is None:
                continue
            try:
                self._insert(plane, id, self._spool.rows(batch, plane))
            except ContentError as error:
                self._isolate(batch, plane, error)
                return
            batch = self._spool.loaded(batch, plane)
        self._spool.delete(batch)
        self._to_clear = True

    def _insert(self, plane: Plane, id: str, rows: list[bytes]) -> None:
        if plane != "sealed" and self._store.decisions.any_erased():
            rows = self._without_erased(plane, rows)
        if plane == "usage" and rows:
            rows = without_known(self._loading, id, rows)
            counted = counted_before(self._engine, rows)
            insert_batch(self._loading, plane, id, rows, self._store.editions(), counted)
        else:
            if plane == "license":
                self._renaming.rename(rows)
            insert_batch(self._loading, plane, id, rows)
        if plane == "license" and self._judging is not None:
            self._judging.note(rows)

    def _without_erased(self, plane: RowPlane, rows: list[bytes]) -> list[bytes]:
        """Return the rows of installs that are not erased. Another collector may learn of an erasure late."""
        installs = [msgspec.json.decode(row, type=_Install).install for row in rows]
        erased = install_data.retired(self._engine, plane, set(installs))
        return [row for row, install in zip(rows, installs, strict=True) if install not in erased]

    def _isolate(self, batch: Batch, plane: Plane, error: ContentError) -> None:
        """Split a batch that ClickHouse cannot read, or quarantine its only row."""
        if not self._engine.of(TABLES[plane]).reads(TABLES[plane], good_row(plane)):
            # Otherwise a missing column would quarantine hours of beacons, one by one.
            raise EngineError(f"the table {TABLES[plane]} differs from what the migrations create") from error
        if batch.first == batch.last:
            log.error("quarantined a row of the %s plane: %s", plane, error)
            self._spool.quarantine(batch, plane, str(error))
        else:
            self._spool.split(batch)

    def _run_maintenance(self, began: float, *, idle: bool) -> None:
        now, wall = self._steady(), self._clock()
        if now - self._fresh_at >= (FRESHNESS_SECONDS if idle else FRESHNESS_SECONDS / 5):
            self._tell_freshness(began)
            self._fresh_at = now
        if now - self._forgot_at >= FORGET_SECONDS:
            self._spool.forget_limits(wall)
            self._spool.forget_rejections((datetime.fromtimestamp(wall, UTC) - KEPT_REJECTIONS).date().isoformat())
            self._store.forget(wall)
            self._forgot_at, self._to_clear = now, True
        if self._to_clear and now - self._cleared_at >= (CLEAR_SECONDS if idle else BUSY_CLEAR_SECONDS):
            with suppress(Unavailable):  # the disk is full: try again later
                self._to_clear = not self._spool.checkpoint()
            # While a collector reads the log, it is not emptied: under load soon again, or that may never be.
            self._cleared_at = now if idle or not self._to_clear else now - BUSY_CLEAR_SECONDS + CLEAR_SECONDS
        if now - self._filled_at >= FILL_SECONDS:
            self._filled_at = now
            fill(self._engine)
        if self._age.settled() and now - self._retained_at >= RETENTION_SECONDS:
            self._retained_at = now
            self._drop_old()

    def _drop_old(self) -> None:
        try:
            for name in retention.apply(self._engine):
                late = not self._engine.embedded  # a server drops most of it by itself
                log.log(logging.WARNING if late else logging.INFO, "%s has expired data: rewriting it", name)
        except EngineError as error:  # loading continues; `pharos doctor` reports expired data
            log.warning("cannot check for expired data: %s", error)

    def _tell_freshness(self, began: float, why: str = "") -> None:
        """Write the loader's progress and health to ClickHouse. `why` is the reason that it cannot load, or ""."""
        # A beacon gets its time of receipt just before its commit, so beacons of the last second may still arrive.
        stats = self._spool.stats()
        fresh_to = began - 1 if stats.oldest is None else min(began - 1.0, stats.oldest)
        since = self._spool.loading().since if why else None
        written = self._clock()
        if written < self._spool.loading().written:
            # The clock stepped back. Rows written before would count as the newest until that time returns.
            freshness.forget_loader(self._engine, self._id)
        row = {
            "loader": self._id,
            "fresh_to": _datetime64(fresh_to),
            "written": _datetime64(written),
            "waiting": stats.beacons,
            "oldest": None if stats.oldest is None else _datetime64(stats.oldest),
            "sealed": stats.sealed,
            "quarantined": stats.quarantined,
            "free_bytes": self._spool.free_bytes(),
            "pharos": version("pharos"),
            "trouble": why,
            "trouble_since": None if since is None else _datetime64(since),
        }
        self._loading.insert("freshness_by_loader", [msgspec.json.encode(row)], token=str(uuid.uuid4()))
        self._spool.note_written(written)
        if not why:
            self._tell_rejections()
            self._store.decisions.correct_erasures(written)
            self._rights.exchange()
            self._spool.note_fresh(fresh_to)

    def _tell_rejections(self) -> None:
        """Write the counts that have changed. Each is the whole of its day, so that it may be written again."""
        counts = self._spool.rejections()
        changed = {rejection: times for rejection, times in counts.items() if self._rejections.get(rejection) != times}
        lines = [
            msgspec.json.encode({"loader": self._id, "day": day, "reason": reason, "field": field, "times": times})
            for (day, reason, field), times in changed.items()
        ]
        if lines:
            self._loading.insert("rejections", lines, token=str(uuid.uuid4()))
        self._rejections = counts


def good_row(plane: Plane) -> bytes:
    """Return a valid row with every column of a plane. It is only parsed, never stored."""
    split = Planes(b"nobody's").split(example(), "203.0.113.9", datetime.now(UTC))
    rows = {
        "usage": encode({"mark": 0, "edition": 0, "counted": 0, **split.usage}),
        "license": encode({"module": split.license["module"], "install": 1, "sealed": ""}),
        "sealed": encode({"who": 1, "day": split.usage["day"], "sealed": "", "sealed_ip": ""}),
    }
    return rows[plane]


def _datetime64(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")
