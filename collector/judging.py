"""Keeps the flags up: judges the installs of each loaded batch, and once a day all of them, for what time changes.

The installs that wait are in memory only. A pass over all installs begins with the loader, so none is forgotten.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from itertools import islice

import msgspec

from collector.settled_clock import SETTLED_SECONDS
from collector.spool import Spool, Unavailable
from warehouse.engine import Engine, EngineError
from warehouse.licensing import key_holders, registry, state_rows
from warehouse.licensing.judge import Judge
from warehouse.licensing.state_rows import Pair, ReadRows
from warehouse.server_users import ServerUser

# Installs judged at once: a second of work, during which the loader waits.
MOST = 2000
LICENSES = 2000
# The pause after judging, at least; otherwise as long as the judging took. A flag is due ten seconds after the 202.
PAUSE_SECONDS = 1.0
PASS_SECONDS = 86400.0
RETRY_SECONDS = 5.0
# An install with imported reports is judged this long after the last of them was loaded, or of another install: in the
# middle of an import it looks as on a day long ago. An import that does not end delays that by `HOLD_SECONDS` at most.
QUIET_SECONDS = 10.0
HOLD_SECONDS = 3600.0
START: Pair = ("", 0)

log = logging.getLogger("pharos.judging")


class _Row(msgspec.Struct):
    module: str
    install: int
    ip: str = ""  # an import has none


class Judging:
    """The installs that wait to be judged, for one loader."""

    def __init__(
        self,
        spool: Spool,
        engine: Engine,
        judge: Judge,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        *,
        settled: Callable[[], bool] = lambda: True,
    ) -> None:
        """`settled` says whether the clock may decide what is too old (`SettledClock`)."""
        self._spool, self._engine, self._judge, self._clock, self._steady = spool, engine, judge, clock, steady
        self._settled = settled
        self._failing = spool.judging_since() is not None
        self._reader = engine.as_user(ServerUser.LICENSING)
        self._waiting: dict[Pair, None] = {}  # in order, each once
        self._later: dict[Pair, None] = {}  # judged when no other install waits
        self._held: dict[Pair, None] = {}  # judged when an import is loaded
        self._imported_at = self._held_since = float("-inf")
        self._noted_at = self._ready_at = self._pass_at = float("-inf")
        self._place: Pair | None = None
        # What the present pass deletes when it has written the states anew; None if it only judges.
        self._read: ReadRows | None = None
        # Whether another pass must write the states, because the clock has not settled.
        self._postponed = False

    @property
    def waiting(self) -> int:
        """The number of installs that wait."""
        return len(self._waiting) + len(self._later) + len(self._held)

    @property
    def passing(self) -> bool:
        """Whether a pass over all installs is under way, or due."""
        return self._place is not None or self._steady() >= self._pass_at

    def note(self, rows: Iterable[bytes]) -> None:
        """Note the installs of rows of the license plane that were inserted."""
        self._noted_at = self._steady()
        for row in rows:
            found = msgspec.json.decode(row, type=_Row)
            if found.ip:
                self._waiting[found.module, found.install] = None
                continue
            if not self._held:
                self._held_since = self._noted_at
            self._held[found.module, found.install] = None
            self._imported_at = self._noted_at

    def note_installs(self, installs: Collection[int]) -> None:
        """Note installs whose owner stated something, for every module that they have. Raises `EngineError`."""
        self._waiting |= dict.fromkeys(state_rows.modules_of(self._reader, installs))

    def step(self, leave: Collection[int]) -> bool:
        """Load waiting registry rows and judge waiting installs; returns whether the pass goes on.

        Leaves the installs `leave` alone, and raises and clears no flag of those of an import that is being loaded. A
        failure does not delay beacons.
        """
        if self._steady() < self._ready_at:
            return False
        began = self._steady()
        try:
            self._load_licenses()
            self._release()
            judged = self._judge_waiting(leave)
            passing = not judged and self._pass(leave)
        except EngineError as error:
            log.warning("judging licenses failed, will retry in %.0f s: %s", RETRY_SECONDS, error)
            self._ready_at = self._steady() + RETRY_SECONDS
            self._note_failing(failing=True)
            return False
        self._note_failing(failing=False)
        if judged:
            self._ready_at = self._steady() + max(PAUSE_SECONDS, self._steady() - began)
        return passing

    def _release(self) -> None:
        """Let the installs of an import wait like others, once it is loaded or has lasted too long."""
        now = self._steady()
        if now - self._imported_at >= QUIET_SECONDS or now - self._held_since >= HOLD_SECONDS:
            self._waiting |= self._held
            self._held.clear()

    def _note_failing(self, *, failing: bool) -> None:
        """Record since when judging fails, or that it works again."""
        if failing != self._failing:
            with suppress(Unavailable):  # the next step tries again
                self._spool.note_judging(self._clock() if failing else None)
                self._failing = failing

    def _load_licenses(self) -> None:
        """Move the registry rows of the spool to ClickHouse, and note the installs that they concern."""
        while rows := self._spool.licenses(LICENSES):
            modules = registry.modules(self._reader)
            found = [msgspec.json.decode(row, type=registry.Row) for _, row in rows]
            token = f"licenses {self._spool.loader_id()} {rows[0][0]} {rows[-1][0]}"
            new = registry.load(self._reader, self._engine.as_user(ServerUser.LOADER), found, token)
            self._waiting |= dict.fromkeys(key_holders.holding(self._reader, {row.key for row in new}))
            if {row.module for row in new} - modules:
                self._place = START  # every key of a module is now known or not
            self._judge.refresh(anew=True)
            self._spool.delete_licenses(rows[-1][0])

    def _judge_waiting(self, leave: Collection[int]) -> bool:
        """Judge some of the waiting installs; returns whether there were any."""
        for module in self._judge.take_changed():
            self._later |= dict.fromkeys(state_rows.of_module(self._reader, module))
        waiting = self._waiting or self._later
        if not waiting:
            return False
        pairs = list(islice(waiting, MOST))
        self._judge.judge(pairs, leave, self._noted_at, held=self._held)
        for pair in pairs:
            del waiting[pair]
        return True

    def _pass(self, leave: Collection[int]) -> bool:
        """Judge the next installs of the daily pass; returns whether it goes on."""
        if self._place is None:
            if self._steady() < self._pass_at:
                return False
            self._place = START
        if self._place == START:
            due = state_rows.read_by_pass(self._reader)
            self._postponed = due is not None and not self._settled()
            self._read = None if self._postponed else due
            self._judge.unreadable.clear()
        pairs = state_rows.after(self._reader, self._place, MOST)
        self._judge.judge(pairs, leave, held=self._held, write=self._read is not None)
        if len(pairs) < MOST:
            self._postponed |= self._read is not None and not self._settled()  # it was set during the pass
            if self._read is not None and not self._postponed:
                state_rows.delete(self._engine, self._read, self._judge.unreadable)
            self._note_unreadable(len(self._judge.unreadable))
            self._place = None
            self._pass_at = self._steady() + (SETTLED_SECONDS if self._postponed else PASS_SECONDS)
            return False
        self._place = pairs[-1]
        return True

    def _note_unreadable(self, installs: int) -> None:
        """Log how many installs have reports that no page and no rule can read, and record it for `pharos doctor`."""
        if installs:
            log.warning("license reports of %d installs cannot be read and are left out", installs)
        self._spool.note_unreadable(installs)
