"""Outages, resting crons and wrong clocks: every count arrives once, on its day."""

import datetime
import time

import pytest

from tests.client_php.outages import SLOW, away, closed_port
from tests.client_php.paper import DAY, Collector, Host


def midday() -> int:
    """Seconds to the next 12:00 UTC, so that a test knows on which day it counts."""
    return DAY - int(time.time()) % DAY + DAY // 2


def day_of(host: Host, later: int = 0) -> str:
    moment = datetime.datetime.fromtimestamp(time.time() + host.shift + later, datetime.UTC)
    return moment.date().isoformat()


def arrived(collector: Collector, name: str = "export") -> dict[str, int]:
    """The counts of a feature by the day of their beacon; a beacon that was sent twice counts once."""
    beacons = {beacon["beacon_id"]: beacon for beacon in collector.beacons}
    days: dict[str, int] = {}
    for beacon in beacons.values():
        if uses := beacon.get("features", {}).get(name, 0):
            day = beacon["sent_at"][:10]
            days[day] = days.get(day, 0) + uses
    return days


@pytest.mark.parametrize("outage", ["refused", "blackholed", "dripping", "500", "junk", "redirect", "lost"])
def test_after_a_week_s_outage_every_count_arrives_once_on_its_day(
    host: Host, collector: Collector, outage: str
) -> None:
    """For seven days the collector is away while pages count; then every count arrives, once, on its day."""
    host.shift = midday()
    host.tick()
    collector.requests.clear()
    counted = {}
    with away(host, collector, outage):
        for turn in range(1, 8):
            host.sleep(DAY)
            counted[day_of(host)] = turn + 100 * turn
            host.count(export=turn)
            # A slow collector costs the test its seconds too: one run of the cron a day is enough to tell.
            for _ in range(1 if outage in SLOW else 3):
                started = time.monotonic()
                assert host.tick()["status"] in {"failed", "not_due"}
                assert time.monotonic() - started < 20  # three in quiet; the collector would hold it for ever
                host.sleep(1200)
            seen = len(collector.requests)
            host.count(export=100 * turn)  # after the day's beacon
            assert len(collector.requests) == seen  # a page never asks the collector
            host.sleep(-1200 if outage in SLOW else -3600)
    host.sleep(4 * 3600)
    assert host.tick()["status"] == "sent"  # within the seven days in which the collector takes a beacon's own day
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"
    assert arrived(collector) == counted
    assert host.kept()["queue"] == []


@pytest.mark.parametrize("outage", [False, True], ids=["sent", "waiting"])
def test_a_use_after_the_day_s_beacon_counts_on_its_day(host: Host, collector: Collector, outage: bool) -> None:
    """What is used after the beacon of a day is told with the next one, on its day, as the module was then."""
    host.shift = midday()
    host.tick()
    host.sleep(DAY)
    host.count(export=1)
    collector.always = (500, "", {}) if outage else None
    host.tick()
    host.sleep(3600)
    host.count(export=2)
    first = day_of(host)
    host.sleep(DAY - 3600)
    host.count(export=4)
    collector.always = None
    host.tick("'version' => '2.0.0'")
    assert arrived(collector) == {first: 3, day_of(host): 4}
    versions = {beacon["sent_at"][:10]: beacon["module"]["version"] for beacon in collector.beacons}
    assert (versions[first], versions[day_of(host)]) == ("1.0.0", "2.0.0")
    host.sleep(DAY)
    host.tick("'version' => '2.0.0'")
    assert arrived(collector) == {first: 3, day_of(host, -DAY): 4}


def test_a_cron_that_rested_tells_each_day(host: Host, collector: Collector) -> None:
    """Counts of days on which no cron ran arrive on those days."""
    host.shift = midday()
    host.tick()
    counted = {}
    for turn in (1, 2, 3):
        host.sleep(DAY)
        counted[day_of(host)] = turn
        host.count(export=turn)
    assert host.tick()["status"] == "sent"
    assert arrived(collector) == counted


def test_a_module_keeps_eight_beacons_and_loses_no_count(host: Host, collector: Collector) -> None:
    """In a longer outage the oldest two that were never sent merge."""
    host.tick()
    collector.requests.clear()
    host.url, url = closed_port(), host.url
    for _ in range(14):
        host.sleep(DAY)
        host.count(export=1)
        host.tick()
    queue = host.kept()["queue"]
    assert len(queue) == 9  # one was sent, and nobody knows what became of it
    assert [each["beacon"]["features"]["export"] for each in queue] == [1, 6, 1, 1, 1, 1, 1, 1, 1]
    host.url = url
    host.sleep(4 * 3600)
    host.tick()
    assert sum(arrived(collector).values()) == 14


def test_a_clock_that_is_wrong_once_loses_nothing(host: Host, collector: Collector) -> None:
    """The clock jumps 40 days ahead for one run and back: no beacon is given up, none is silent for 40 days."""
    collector.always = (500, "", {})
    host.count(export=2)
    host.tick()
    host.sleep(40 * DAY)
    host.count(export=3)
    host.tick()
    host.sleep(-40 * DAY + 14400)
    host.count(export=4)
    collector.always = None
    for _ in range(2):
        host.tick()
        host.sleep(14400)
    assert sum(arrived(collector).values()) == 9
    host.sleep(DAY)
    collector.requests.clear()
    assert host.tick()["status"] == "sent"


def test_a_beacon_too_old_to_be_recognized_is_given_up(host: Host, collector: Collector) -> None:
    """After 29 days a retry could count twice. Two readings of the clock, an hour apart, must agree on that."""
    collector.always = (500, "", {})
    host.count(export=2)
    host.tick()
    collector.always = None
    collector.requests.clear()
    host.sleep(30 * DAY)
    assert host.tick()["status"] == "not_due"
    assert collector.requests == []
    host.sleep(3601)
    assert host.tick()["status"] == "sent"
    assert arrived(collector) == {}
    assert host.run("echo json_encode($client->troubles());") == ["lost_old"]


def test_a_clock_set_back_does_not_silence_it(host: Host, collector: Collector) -> None:
    """A due time and a breaker that a wrong clock put far ahead are not waited for."""
    host.tick()
    host.change(lambda state: state.update(due_at=int(time.time()) + 10**8, until=int(time.time()) + 10**8))
    assert host.tick()["status"] == "sent"


@pytest.mark.parametrize("lost", [False, True])
def test_a_module_that_is_deactivated_takes_its_counts_along(host: Host, collector: Collector, lost: bool) -> None:
    """The last beacon has what was counted until then, each on its day; where it does not arrive it waits."""
    host.shift = midday()
    host.tick()
    host.count(export=1)
    first = day_of(host)
    host.sleep(DAY)
    host.count(export=2)
    if lost:
        collector.will_answer(500)
    deactivate = "echo json_encode($client->deactivate()->status());"
    assert host.run(deactivate) == ("failed" if lost else "sent")
    assert [beacon["reason"] for beacon in collector.beacons[1:]] == ["heartbeat", "deactivate"]
    host.sleep(3600)
    assert host.tick()["status"] == "sent"  # activated again
    assert arrived(collector) == {first: 1, day_of(host): 2}
    assert collector.beacons[-1]["reason"] == "activate"


def test_a_late_cron_leaves_today_s_counts_for_today(host: Host, collector: Collector) -> None:
    """A beacon that was due yesterday has the counts of yesterday; those of today come with today's."""
    host.shift = midday()
    host.tick()
    host.sleep(DAY // 2 + 9 * 3600)  # the next morning: the beacon is due at noon
    host.count(export=5)
    host.sleep(DAY)
    today = day_of(host)
    host.count(export=7)
    host.tick()
    assert today not in arrived(collector)
    host.sleep(DAY)
    host.tick()
    assert arrived(collector) == {day_of(host, -2 * DAY): 5, today: 7}
