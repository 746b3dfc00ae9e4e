"""The webhook: every event of a case reaches the receiver once by its id, however the receiver and Pharos fail."""

import base64
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from core.access_log import AccessLog
from core.home import Home
from core.outbox import DAY_SECONDS, Outbox
from core.settings import Settings
from dashboard import webhook, webhook_post
from dashboard.webhook import OVERLAP_SECONDS, Webhook
from dashboard.webhook_post import NoAnswer, post
from tests.dashboard.receiver import Receiver, receiving
from tests.end_to_end.system import ENGINES
from tests.warehouse.cases.test_listing import flag
from tests.warehouse.test_engine import done_in
from warehouse import install_data
from warehouse.cases.events import CaseEvent
from warehouse.cases.revisions import Change, write
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.licensing import flags
from warehouse.migrate import migrate

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
ERASED = 7
ADDRESS = "https://pharos.example.com"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).timestamp()

    def __call__(self) -> float:
        return self.now


def sender(home: Home, engine: Engine, url: str, clock: Clock) -> Webhook:
    log = AccessLog.of(Settings(home=home.path), home)
    return Webhook(
        url, SECRET, Outbox(home.dashboard), engine, log, seconds=False, address=ADDRESS, clock=clock, steady=clock
    )


def way(engine: Engine, home: Home) -> dict[str, Any]:
    """Events of flags and cases, read from ClickHouse and posted."""
    migrate(engine)
    clock = Clock()
    found: dict[str, Any] = {}
    with receiving(KEY) as receiver:
        one, other = (sender(home, engine, receiver.url, clock) for _ in range(2))
        flags.write(engine, [flag(99)], "before the webhook was set")
        one.collect()  # begins here
        now = datetime.now(UTC)
        shared = [flag(number, "shared_key", key=9, reach=3, at=now) for number in (21, 22, 23)]
        flags.write(engine, [flag(1, at=now), flag(ERASED, at=now), *shared], "raised")
        write(engine, Change(Subject("invoice_pro", 1, 0), 0, "ada", "contacted", "bob", "his note"), now)
        clock.now += 1
        found["collected"] = one.collect(), other.collect()
        install_data.erase(engine, {"license": {ERASED}})
        found["delivered"] = one.deliver(), other.deliver()
        flags.write(engine, [flag(1, revision=2, event="cleared", at=now + timedelta(seconds=1))], "cleared")
        clock.now += 1
        # A second dashboard, with an outbox of its own, tells it under the same id.
        away = Home(home.path / "other")
        elsewhere = sender(away, engine, receiver.url, clock)
        Outbox(away.dashboard).take([], clock.now - 60, clock.now)
        one.collect(), elsewhere.collect()
        found["again"] = one.deliver(), elsewhere.deliver()
        found["events"], found["requests"] = receiver.taken(), receiver.requests
        found["logged"] = AccessLog.of(Settings(home=home.path), home).entries(10, "webhook")
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_events_go_from_clickhouse_to_the_receiver(kind: str, tmp_path: Path) -> None:
    """Flags and decisions are told, a shared key once, what is from before the webhook or erased never.
    What goes out has no note, no address and no key in clear, and its time is to the hour."""
    found = done_in(kind, tmp_path, way)
    assert found["collected"] == (4, 0)
    assert found["delivered"] == (3, 0)
    assert found["again"][0] == 1
    told = {(event["type"], event["data"]["case"]): event for event in found["events"]}
    install, key = "invoice_pro.install.0000000000000001", "invoice_pro.key.0000000000000009"
    assert set(told) == {
        ("flag.raised", install), ("case.changed", install), ("flag.raised", key), ("flag.cleared", install)
    }  # fmt: skip
    assert told["flag.raised", key]["data"] == {
        "case": key, "module": "invoice_pro", "url": f"{ADDRESS}/licensing/{key}",
        "rule": "shared_key", "severity": "warning", "grade": "recorded", "reach": 3,
        "since": told["flag.raised", install]["data"]["since"],
    }  # fmt: skip
    assert told["case.changed", install]["data"] == {
        "case": install, "module": "invoice_pro", "url": f"{ADDRESS}/licensing/{install}",
        "revision": 1, "action": "changed", "state": "contacted", "assignee": "bob", "who": "ada", "noted": True,
    }  # fmt: skip
    assert all(event["timestamp"].endswith(":00:00Z") for event in found["events"])
    assert len(found["events"]) == len(found["requests"])
    assert max(found["requests"].values()) == 2  # the two dashboards
    assert [entry.rows for entry in found["logged"]] == [1, 4]


class Source:
    """Events as ClickHouse would give them, without ClickHouse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
        self.all: list[CaseEvent] = []
        self._clock = clock
        monkeypatch.setattr(webhook, "events", lambda _engine, since: ([e for e in self.all if e.at >= since], None))
        monkeypatch.setattr(webhook, "gone", lambda _engine, _names: set())

    def happen(self, number: int) -> None:
        """Let events happen now."""
        at = datetime.fromtimestamp(self._clock.now, UTC)
        first = len(self.all)
        self.all += [
            CaseEvent(f"{first + each:032x}", "flag.raised", at, Subject("m", first + each + 1, 0), {})
            for each in range(number)
        ]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Source:
    return Source(monkeypatch, clock)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(KEY) as receiver:
        yield receiver


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def begun(home: Home, url: str, clock: Clock) -> Webhook:
    made = sender(home, cast(Engine, None), url, clock)
    made.collect()
    return made


def go_on(made: Webhook, clock: Clock, until: Callable[[], bool], most: float) -> None:
    """Step once a minute of the test's clock, for at most so many seconds of it."""
    end = clock.now + most
    while not until() and clock.now < end:
        made.collect()
        made.deliver()
        clock.now += 60


def test_a_receiver_that_is_down_for_an_hour_gets_each_event_once(home: Home, source: Source, clock: Clock) -> None:
    """While it is down a growing pause spares it. When it is up again, what waited and what is new arrives."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    made = begun(home, f"http://127.0.0.1:{port}/", clock)
    source.happen(30)
    go_on(made, clock, lambda: False, 3600)
    assert (made.told().waiting, made.told().trouble) == (30, "no answer (ConnectionRefusedError)")
    with receiving(KEY, port) as receiver:
        source.happen(5)
        go_on(made, clock, lambda: len(receiver.events) == 35, 3 * 3600)
        assert len(receiver.events) == 35
        assert set(receiver.requests.values()) == {1}
        assert not receiver.forged
    assert (made.told().waiting, made.told().trouble) == (0, "")


@pytest.mark.parametrize("mode", ["hang", "drip", "fail", "slow", "lost"])
def test_a_receiver_that_fails_gets_each_event_once_by_its_id(
    mode: str, home: Home, source: Source, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs, drips, answers 500, is slow, or takes an event and loses the answer. Later it is well again."""
    monkeypatch.setattr(webhook, "post", partial(post, seconds=0.3 if mode in ("hang", "drip") else 5))
    made = begun(home, receiver.url, clock)
    source.happen(4)
    receiver.mode = mode
    made.collect()
    made.deliver()
    if mode == "slow":
        assert len(receiver.events) == 4
    else:
        assert made.told().waiting == 4
        assert made.told().trouble
    receiver.mode = "ok"
    go_on(made, clock, lambda: not made.told().waiting, 2 * 3600)
    assert {event["data"]["case"] for event in receiver.taken()} == {str(one.subject) for one in source.all}
    assert not receiver.forged
    assert made.told().trouble == ""


def test_an_event_is_dropped_after_a_day(home: Home, source: Source, clock: Clock, receiver: Receiver) -> None:
    """One that the receiver refuses for a day is given up, with pauses of an hour at most. The others arrive."""
    made = begun(home, receiver.url, clock)
    source.happen(1)
    receiver.mode, receiver.status = "fail", 400
    made.collect()
    made.deliver()
    go_on(made, clock, lambda: not made.told().waiting, 2 * DAY_SECONDS)
    assert made.told().waiting == 0
    assert 24 <= receiver.requests[source.all[0].id] <= 40
    receiver.mode = "ok"
    source.happen(1)
    go_on(made, clock, lambda: bool(receiver.events), 3600)
    assert list(receiver.events) == [source.all[1].id]


def test_an_event_of_a_clock_that_was_ahead_arrives(
    home: Home, source: Source, clock: Clock, receiver: Receiver
) -> None:
    """An event that failed under a clock a year ahead is sent when the clock is right, and not in a year."""
    made = begun(home, receiver.url, clock)
    clock.now += 365 * DAY_SECONDS
    made.collect()
    source.happen(1)
    receiver.mode = "fail"
    made.collect()
    made.deliver()
    assert made.told().waiting == 1
    receiver.mode = "ok"
    clock.now -= 365 * DAY_SECONDS
    again = sender(home, cast(Engine, None), receiver.url, clock)
    go_on(again, clock, lambda: not again.told().waiting, 3600)
    assert list(receiver.events) == [source.all[0].id]


class Killed(BaseException):
    """The process ends here."""


def test_a_kill_at_any_step_loses_no_event(
    home: Home, source: Source, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender dies at each statement of the outbox in turn, before it or after it. The next one goes on."""
    begun(home, receiver.url, clock)
    real = webhook_post.post
    countdown = 0

    @contextmanager
    def counted(step: Callable[[], Any]) -> Iterator[Any]:
        nonlocal countdown
        for moment in ("before", "after"):
            countdown -= 1
            if countdown == 0:
                raise Killed(moment)
            if moment == "before":
                yield step()

    for name in ("take", "due", "delivered", "failed", "give_up"):
        method = getattr(Outbox, name)

        def dying(self: Outbox, *args: Any, _method: Any = method) -> Any:
            with counted(lambda: _method(self, *args)) as result:
                return result

        monkeypatch.setattr(Outbox, name, dying)

    def dying_post(*args: Any) -> Any:
        with counted(lambda: real(*args)) as result:
            return result

    monkeypatch.setattr(webhook, "post", dying_post)
    killed = 0
    for number in range(1, 60):
        source.happen(3)
        countdown = number
        made = sender(home, cast(Engine, None), receiver.url, clock)
        try:
            made.collect()
            made.deliver()
        except Killed:
            killed += 1
        clock.now += 60
    countdown = 0
    go_on(sender(home, cast(Engine, None), receiver.url, clock), clock, lambda: False, OVERLAP_SECONDS)
    assert killed >= 15
    assert set(receiver.events) == {one.id for one in source.all}
    assert max(receiver.requests.values()) >= 2  # killed between the answer and its note
    assert Outbox(home.dashboard).count() == 0


def test_a_signature_covers_the_time_and_the_content(receiver: Receiver) -> None:
    """As in the specification's own tests. A request of earlier cannot be sent again under a new time."""
    # standard-webhooks/standard-webhooks, libraries/javascript/src/webhook.test.ts, "sign function works".
    example = webhook_post.signature(
        base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
        b'{"test": 2432232314}',
    )  # fmt: skip
    assert example == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert post(receiver.url, KEY, "one", b"{}", 1) == 204
    assert post(receiver.url, bytes(32), "two", b"{}", 1) == 204
    assert receiver.forged == ["two"]


def test_no_answer_says_why_without_the_address() -> None:
    """An address that nobody listens on is a `NoAnswer`, which repeats no part of it."""
    with pytest.raises(NoAnswer, match=r"^no answer \(ConnectionRefusedError\)$"):
        post("http://127.0.0.1:1/secret-path", KEY, "one", b"{}", 1)
