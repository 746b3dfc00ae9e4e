"""When the PHP client sends, what it keeps, and what becomes of its beacons whatever the collector answers."""

import datetime
import json
import subprocess
import time
from pathlib import Path

import pytest

from pharos import sdk
from tests.client_php.paper import DAY, Collector, Host, accepted, refusal


def test_a_heartbeat_waits_for_its_time(host: Host, collector: Collector) -> None:
    """A second run on the same day sends nothing and says how long it will wait."""
    host.tick()
    answer = host.tick()
    assert answer["status"] == "not_due"
    assert 0 < answer["next_in"] <= DAY
    assert len(collector.requests) == 1


def test_a_daily_cron_is_never_a_minute_early(host: Host, collector: Collector) -> None:
    """After `next_in` of a day, a cron that comes half an hour sooner than yesterday still sends."""
    host.tick()
    host.sleep(DAY - 1800)
    assert host.tick()["status"] == "sent"


@pytest.mark.parametrize(
    ("next_in", "longest"),
    [(600, 600), (0, 60), (-5, 60), (10**9, 2 * DAY), ("soon", DAY), (None, DAY)],
)
def test_the_collector_sets_the_pace_within_reason(
    host: Host, collector: Collector, next_in: object, longest: int
) -> None:
    """`next_in` is followed between a minute and two days, and is a day when it is missing or nonsense."""
    collector.will_answer(202, accepted(next_in))
    host.tick()
    wait = host.kept()["due_at"] - time.time() - host.shift
    assert longest * 0.9 - 30 < wait <= longest


def test_a_beacon_says_when_it_was_due(host: Host, collector: Collector) -> None:
    """`sent_at` is the time at which the beacon was due, however late the cron comes."""
    host.tick()
    due = host.kept()["due_at"]
    host.sleep(DAY)
    host.tick()
    told = datetime.datetime.fromisoformat(collector.requests[1].beacon["sent_at"])
    assert int(told.timestamp()) == due


def test_a_new_version_is_told_at_once(host: Host, collector: Collector) -> None:
    """The first beacon is an activation, and a changed version an upgrade that does not wait."""
    host.tick()
    host.tick("'version' => '1.1.0'")
    assert [beacon["reason"] for beacon in collector.beacons] == ["activate", "upgrade"]
    assert host.tick("'version' => '1.1.0'")["status"] == "not_due"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "oops"),
        (503, ""),
        (200, accepted()),
        (202, "<html>welcome to the hotel</html>"),
        (202, "x" * 200_000),
        (202, '{"accepted": "yes"}'),
        (400, refusal(400, "malformed_json")),
        (401, refusal(401, "unauthorized")),
        (403, refusal(403, "module_not_allowed")),
        (404, refusal(404, "not_found")),
        (408, ""),
        (413, "<html>nginx</html>"),
        (422, "a proxy's own page"),
        (429, refusal(429, "rate_limited")),
    ],
)
def test_a_retry_is_the_same_beacon(host: Host, collector: Collector, status: int, body: str) -> None:
    """Without a good answer the same bytes go out again, and what was counted since waits for the next beacon."""
    collector.will_answer(status, body)
    host.count(export=2)
    answer = host.tick()
    assert answer["status"] == "failed"
    assert answer["accepted"] == 0
    assert answer["next_in"] > 0
    host.count(export=5)
    assert host.tick()["status"] == "not_due"
    host.sleep(900)
    assert host.tick()["status"] == "sent"
    first, second = collector.requests
    assert first.body == second.body
    assert second.beacon["features"] == {"export": 2}
    host.sleep(DAY)
    host.tick()
    late, today = collector.requests[2].beacons
    assert len({first.beacon["beacon_id"], late["beacon_id"], today["beacon_id"]}) == 3
    assert late["install_id"] == today["install_id"] == first.beacon["install_id"]
    assert (late["features"], today.get("features")) == ({"export": 5}, None)


def test_counts_leave_only_when_they_are_stored(host: Host, collector: Collector) -> None:
    """A beacon stays in the queue until the collector has taken it."""
    host.count(export=2)
    collector.will_answer(500)
    host.tick()
    [waiting] = host.kept()["queue"]
    assert waiting["beacon"]["features"] == {"export": 2}
    host.sleep(900)
    host.tick()
    assert host.kept()["queue"] == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, refusal(422, "bad_format", "module.version")),
        (413, refusal(413, "body_too_large")),
        (202, accepted(rejected=[{"index": 0, "reason": "bad_format", "path": "module.version", "detail": "no"}])),
    ],
)
def test_a_refusal_that_is_not_about_features_gives_the_counts_back(
    host: Host, collector: Collector, status: int, body: str
) -> None:
    """The collector's verdict is final for the beacon, not for its counts: the next beacon has them."""
    collector.will_answer(status, body)
    host.count(export=2)
    answer = host.tick()
    assert answer["status"] == "rejected"
    [rejected] = answer["rejected"]
    assert (rejected["module"], rejected["reason"]) == ("invoice_pro", json.loads(body).get("reason", "bad_format"))
    assert host.run("echo json_encode($client->troubles());") == [f"rejected {rejected['reason']}"]
    assert "It is not sent again" in host.run("echo json_encode($client->page());")
    host.count(export=5)
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"
    first, late, today = collector.beacons
    assert first["beacon_id"] != late["beacon_id"]
    assert (late["features"], today.get("features")) == ({"export": 7}, None)
    assert late["sent_at"][:10] == first["sent_at"][:10]


def test_poisoned_features_do_not_come_back(host: Host, collector: Collector) -> None:
    """Features that the collector calls wrong are given up, or they would spoil every beacon to come."""
    collector.will_answer(422, refusal(422, "bad_format", "features.export"))
    host.count(export=2)
    assert (host.tick()["status"], host.kept()["refused"]) == ("rejected", 1)
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"
    assert "features" not in collector.beacons[1]


def test_a_batch_that_is_too_large_is_sent_in_parts(host: Host, collector: Collector) -> None:
    """413 for many beacons is about their number: they go out in halves, each once."""
    collector.always = (500, "", {})
    for _ in range(4):
        host.tick()
        host.sleep(DAY)
    collector.always = None
    collector.requests.clear()
    host.sleep(14400)
    collector.will_answer(202, accepted())
    collector.will_answer(413, refusal(413, "body_too_large"))
    assert host.tick()["status"] == "sent"
    sizes = [len(request.beacons) for request in collector.requests]
    assert sizes[0] == 1
    assert sizes[1] > sizes[2]
    stored = [beacon["beacon_id"] for request in collector.requests if request is not collector.requests[1]
              for beacon in request.beacons]  # fmt: skip
    assert len(stored) == len(set(stored)) == 5
    assert host.kept()["queue"] == []


def test_all_modules_go_as_one_batch(host: Host, collector: Collector) -> None:
    """From the second run on, the beacons of all the vendor's modules are one request, at the end of the cron."""
    other = "$other = Acme\\Pharos\\Client::module('support_desk', $options);"
    both = other + "$said = [$client->tick()->status(), $other->tick()->status()]; echo json_encode($said);"
    host.run(both)
    collector.requests.clear()
    host.sleep(DAY)
    host.count(export=2)
    assert host.run(both) == ["queued", "sent"]
    [request] = collector.requests
    assert [beacon["module"]["name"] for beacon in request.beacons] == ["invoice_pro", "support_desk"]
    assert len({beacon["install_id"] for beacon in request.beacons}) == 1
    assert [beacon.get("features") for beacon in request.beacons] == [{"export": 2}, None]
    host.sleep(DAY)
    assert host.tick()["status"] == "queued"  # the other never comes: the end of the request sends
    assert [beacon["module"]["name"] for beacon in collector.requests[1].beacons] == ["invoice_pro"]


def test_the_breaker_waits_longer_each_time(host: Host, collector: Collector) -> None:
    """Each failure waits up to twice as long as the last, by chance, from 5 minutes to 4 hours; success ends it."""
    collector.always = (500, "", {})
    for turn in range(9):
        answer = host.tick()
        longest = min(14400, 300 * 2**turn)
        assert answer["status"] == "failed"
        assert longest // 2 <= answer["next_in"] <= longest
        assert host.tick()["status"] == "not_due"
        host.sleep(longest)
    assert len(collector.requests) == 9
    collector.always = None
    assert host.tick()["status"] == "sent"
    assert host.kept()["failures"] == 0


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_respected(host: Host, collector: Collector, form: str) -> None:
    """A collector that says when to come again, in seconds or as a date, is not asked sooner."""
    date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5000)
    value = "5000" if form == "seconds" else date.strftime("%a, %d %b %Y %H:%M:%S GMT")
    collector.will_answer(503, refusal(503, "unavailable"), Retry_After=value)
    answer = host.tick()
    assert answer["reason"] == "unavailable"
    assert 4900 <= answer["next_in"] <= 5000


def test_an_objection_ends_counting_until_the_owner_chooses_again(host: Host, collector: Collector) -> None:
    """After the collector's `objected` nothing is counted or sent; a new choice starts it again."""
    collector.will_answer(
        202, json.dumps({"accepted": 0, "duplicates": 0, "objected": 1, "rejected": [], "next_in": DAY})
    )
    host.count(export=2)
    answer = host.tick()
    assert (answer["status"], answer["objected"], answer["accepted"]) == ("objected", 1, 0)
    assert host.tick()["status"] == "objected"
    assert host.run("$client->count('export'); echo json_encode([$client->flush(), $client->troubles()]);") == [
        False, ["objected"],
    ]  # fmt: skip
    host.sleep(DAY)
    assert host.tick()["status"] == "objected"
    assert len(collector.requests) == 1
    assert host.run("echo json_encode($client->choose('full'));") is True
    host.count(export=3)
    assert host.tick()["status"] == "sent"
    assert collector.beacons[1]["features"] == {"export": 3}


def test_undeclared_is_not_sent(host: Host, collector: Collector) -> None:
    """A module that the catalog does not declare was not stored, and the result says so."""
    collector.will_answer(
        202, json.dumps({"accepted": 0, "duplicates": 0, "undeclared": 1, "rejected": [], "next_in": DAY})
    )
    answer = host.tick()
    assert (answer["status"], answer["undeclared"], answer["accepted"]) == ("undeclared", 1, 0)
    assert host.run("echo json_encode($client->troubles());") == ["undeclared"]
    assert "does not know this module" in host.run("echo json_encode($client->page());")
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"
    assert host.run("echo json_encode($client->troubles());") == []


def test_a_development_key_waits_a_minute_at_most(collector: Collector, tmp_path: Path) -> None:
    """Who tries a module need not wait for the day of a key that was used before, nor long after a failure."""
    host = Host(collector.url, tmp_path)
    assert host.tick()["status"] == "sent"
    assert host.tick()["next_in"] > 60
    for path, text in zip(host.files, sdk.php_pair("Acme", host.url, "pdk_x", "pharos-rest.php"), strict=True):
        path.write_text(text)
    assert 0 < host.tick()["next_in"] <= 60
    host.sleep(61)
    collector.will_answer(403, refusal(403, "module_not_allowed"))
    failed = host.tick()
    assert (failed["status"], failed["reason"]) == ("failed", "module_not_allowed")
    assert failed["next_in"] <= 60
    assert "was not stored: module_not_allowed" in host.run("echo json_encode($client->page());")
    host.sleep(61)
    assert host.tick()["status"] == "sent"


def test_a_killed_run_is_like_a_lost_answer(host: Host, collector: Collector) -> None:
    """A cron that is killed while it waits for the answer has kept what it sent; the next one sends the same."""
    collector.hold = 30
    host.count(export=2)
    script = host.script("echo json_encode($client->tick());")
    with subprocess.Popen(["php", str(script)], stdout=subprocess.DEVNULL) as cron:
        until = time.monotonic() + 30
        while not collector.requests and time.monotonic() < until:
            time.sleep(0.02)
        cron.kill()
    collector.hold = 0
    assert host.tick()["status"] == "sent"
    first, second = collector.requests
    assert first.body == second.body


def test_explain_stores_nothing_and_shows_the_collectors_answer(host: Host, collector: Collector) -> None:
    """explain() sends the next beacon to the check, and changes nothing here."""
    host.count(export=2)
    collector.will_answer(200, json.dumps({"beacons": [{"usage": {"module": "x"}}], "rejected": []}))
    answer = host.run("echo json_encode($client->explain());")
    assert answer["answer"]["beacons"] == [{"usage": {"module": "x"}}]
    [request] = collector.requests
    assert request.path == "/v1/beacons/check"
    sent_at = datetime.datetime.fromisoformat(request.beacon["sent_at"]).timestamp()
    assert abs(sent_at - time.time() - host.shift) < 600  # not when it is due
    assert request.beacon["features"] == {"export": 2}
    assert host.tick()["status"] == "sent"
    assert collector.beacons[1]["features"] == {"export": 2}


def test_the_last_beacons_are_kept_to_read(host: Host, collector: Collector) -> None:
    """The local log has the last beacons with what became of them, at most 20, without the install id."""
    for _ in range(12):
        host.tick()
        host.sleep(DAY)
    log = host.run("echo json_encode($client->log());")
    assert [entry["status"] for entry in log] == ["sent"] * 12
    assert log[0]["beacons"][0]["beacon_id"] == collector.beacons[-1]["beacon_id"]
    assert collector.beacons[0]["install_id"] not in json.dumps(log)


def test_a_slow_license_check_delays_no_beacon(host: Host, collector: Collector) -> None:
    """What the host takes for its answers is not taken from the time of the request."""
    slow = "'license' => static function () { usleep(3000000); return 'Active'; }"
    assert host.tick(slow)["status"] == "sent"
    assert collector.beacons[0]["license"]["status"] == "licensed"
