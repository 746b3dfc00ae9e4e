"""Tells the vendor's own system what happens to cases: each event goes from ClickHouse to the outbox, and is posted.

The flags and decisions in ClickHouse are the source, so that an event is known as soon as it happened, whoever wrote it
and whatever was killed. Each dashboard of a deployment with the setting sends; the same event has the same id.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from core.access_log import AccessLog, AccessLogError
from core.credentials import Role
from core.outbox import DAY_SECONDS, Outbox, OutboxError, Told, Waiting
from dashboard.webhook_post import NoAnswer, key_of, post
from warehouse.cases.events import CaseEvent, events, gone
from warehouse.engine import Engine, EngineError

EVERY_SECONDS = 5.0
# Of the time that reading took, so that a flood of flags does not keep ClickHouse busy with this.
RATIO = 10.0
# What is read again each time: clocks of other hosts may be late, and a replica shows a row when it has fetched it.
OVERLAP_SECONDS = 900.0
MOST_WAITING = 100_000
MOST_AT_ONCE = 100
# An event of a case that was erased meanwhile is dropped, at the latest after so long.
LOOK_SECONDS = 30.0
# When the receiver does not answer at all, nothing is sent for a while, which doubles each time, between these.
REST_SECONDS = (5.0, 600.0)

log = logging.getLogger("pharos.webhook")


def body_of(event: CaseEvent, *, seconds: bool, address: str = "") -> bytes:
    """Return what the receiver gets. Its time is to the hour, or with `seconds` to the second, as in the read API.

    `address` is that of the dashboard: with it the event has the link of its case.
    """
    name = str(event.subject)
    link = {"url": f"{address}/licensing/{name}"} if address else {}
    return _encoded(event.kind, event.at, seconds, {"case": name, "module": event.subject.module, **link, **event.more})


def test_event(now: datetime) -> tuple[str, bytes]:
    """Return the id and the content of an event that says nothing but that the way is open."""
    return f"test{secrets.token_hex(14)}", _encoded("test", now, True, {})


def _encoded(kind: str, at: datetime, seconds: bool, data: dict[str, object]) -> bytes:
    spelled = f"{at:%Y-%m-%dT%H:%M:%SZ}" if seconds else f"{at:%Y-%m-%dT%H:00:00Z}"
    return msgspec.json.encode({"type": kind, "timestamp": spelled, "data": data})


class Webhook:
    """The sender. `seconds`: times of events are exact. `address` is that of the dashboard, for links.

    `clock` returns the wall time, `steady` measures pauses.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        outbox: Outbox,
        engine: Engine,
        access_log: AccessLog,
        *,
        seconds: bool,
        address: str = "",
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._key, self._outbox, self._engine = url, key_of(secret), outbox, engine
        self._access_log, self._seconds, self._address = access_log, seconds, address
        self._clock, self._steady = clock, steady
        self._rest_until = self._looked_at = float("-inf")
        self._rest = REST_SECONDS[0]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the event that is being sent."""
        self._stop.set()

    def told(self) -> Told:
        """Return how it goes. Raises `OutboxError`."""
        return self._outbox.told()

    def test(self, who: str, role: Role) -> str:
        """Send a test event now; return what became of it, in words. Raises `AccessLogError`."""
        self._access_log.record(who, str(role), "webhook tested", {}, 0)
        id, body = test_event(datetime.now(UTC))
        try:
            return f"answered {post(self._url, self._key, id, body, int(self._clock()))}"
        except NoAnswer as error:
            return str(error)

    def collect(self) -> int:
        """Move what is new from ClickHouse to the outbox; return how many events. Begins with the first call."""
        now = self._clock()
        mark = self._outbox.mark()
        if mark is None:
            return self._outbox.take([], now, now)
        if self._outbox.count() >= MOST_WAITING:
            return 0  # they wait in ClickHouse
        since = max(mark - OVERLAP_SECONDS, now - DAY_SECONDS)
        found, further = events(self._engine, datetime.fromtimestamp(since, UTC))
        rows = [
            (event.id, str(event.subject), body_of(event, seconds=self._seconds, address=self._address))
            for event in found
        ]
        new = self._outbox.unknown(rows)
        if new:
            self._access_log.record("webhook", str(Role.LICENSING), "webhook", {}, len(new))
        return self._outbox.take(new, further.timestamp() + OVERLAP_SECONDS if further else now, now)

    def deliver(self) -> int:
        """Send what is due, as long as the receiver answers; return how many events it took."""
        taken = 0
        dropped = self._outbox.give_up(self._clock())
        if dropped:
            log.warning("the receiver did not take %d events within a day; they are dropped", dropped)
        while self._steady() >= self._rest_until and not self._stop.is_set():
            self._look()
            due = self._outbox.due(self._clock(), MOST_AT_ONCE)
            for event in due:
                if self._stop.is_set() or self._steady() < self._rest_until:
                    return taken
                taken += self._send(event)
            if len(due) < MOST_AT_ONCE:
                break
        return taken

    def _send(self, event: Waiting) -> bool:
        now = self._clock()
        try:
            status = post(self._url, self._key, event.id, event.body, int(now))
        except NoAnswer as error:
            self._outbox.failed(event, str(error), self._clock())
            self._rest_until = self._steady() + self._rest
            self._rest = min(2 * self._rest, REST_SECONDS[1])
            return False
        self._rest = REST_SECONDS[0]
        if not 200 <= status < 300:
            self._outbox.failed(event, f"answered {status}", self._clock())
            return False
        self._outbox.delivered(event.id, self._clock())
        return True

    def _look(self) -> None:
        """Drop the events of cases that are no more."""
        if self._steady() - self._looked_at < LOOK_SECONDS:
            return
        if (waiting := self._outbox.subjects()) and (lost := gone(self._engine, waiting)):
            self._outbox.drop(lost, self._clock())
        self._looked_at = self._steady()

    def _run(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            began, wait = self._steady(), EVERY_SECONDS
            try:
                self.collect()
                wait = max(EVERY_SECONDS, RATIO * (self._steady() - began))
                self.deliver()
            except Exception as error:
                known = isinstance(error, EngineError | OutboxError | AccessLogError)
                log.warning("the webhook waits: %s", error if known else type(error).__name__, exc_info=not known)
