"""The owner's choice and rights: off, license or full, the page, and forgetting."""

import fcntl
import json
import re

import pytest

from tests.client_php.paper import BEACON, DAY, LICENSE_KEY, Collector, Host, accepted, misfits, refusal

TICKET = json.dumps({"request": "t", "status": "/v1/rights/ticket-1"})


def choose(host: Host, level: str) -> None:
    assert host.run(f"echo json_encode($client->choose({level!r}));") is True


def post(host: Host, action: str, **fields: str) -> str:
    """Press a button of the page as its owner."""
    more = "".join(f", {name!r} => {value!r}" for name, value in fields.items())
    page: str = host.run(
        "$_SERVER['REQUEST_METHOD'] = 'POST'; preg_match('/pharos_token\" value=\"(\\w+)/', $client->page(), $m);"
        f"$_POST = ['pharos' => {action!r}, 'pharos_token' => $m[1]{more}]; echo json_encode($client->page());"
    )
    return page


@pytest.mark.parametrize("options", ["", "'consent' => 'off'", "'consent' => 'FULL'", "'consent' => ['full']"])
def test_without_a_choice_nothing_is_counted_kept_or_sent(host: Host, collector: Collector, options: str) -> None:
    """Silence is no consent."""
    host.options = options
    said = host.run("$client->count('export'); echo json_encode([$client->flush(), $client->tick()->status()]);")
    assert said == [False, "off"]
    assert collector.requests == []
    assert not list(host.state.rglob("*.json"))
    assert not list(host.state.rglob("*.log"))


def test_one_choice_is_for_all_modules_and_changes_at_once(host: Host, collector: Collector) -> None:
    """The page's choice of one module starts and stops all of them."""
    host.options = ""
    page = host.run("echo json_encode($client->page());")
    assert "You have not chosen yet" in page
    assert "What is wrong" not in page
    assert "Saved." in post(host, "choose", level="full")
    other = "support_desk"
    assert host.run("$client->count('a'); echo json_encode($client->flush());", module=other) is True
    assert host.run("echo json_encode($client->tick()->status());", module=other) == "sent"
    assert collector.beacons[0]["features"] == {"a": 1}
    assert "Saved." in post(host, "choose", level="off")
    assert host.run("$client->count('a'); echo json_encode($client->flush());", module=other) is False
    assert host.run("echo json_encode($client->level());", module=other) == "off"


def test_consent_license_sends_the_license_alone(host: Host, collector: Collector) -> None:
    """At level `license` nothing of the machine, the platform or the features leaves, or is even counted."""
    choose(host, "license")
    assert host.run("$client->count('export'); echo json_encode($client->flush());") is False
    assert host.tick(f"'license' => ['status' => 'Active', 'key' => {LICENSE_KEY!r}]")["status"] == "sent"
    beacon = collector.requests[0].beacon
    assert misfits(beacon) == []
    assert beacon["consent"] == {"level": "license"}
    assert beacon.keys().isdisjoint({"server", "platform", "features"})


def test_lowered_consent_takes_back_what_waits(host: Host, collector: Collector) -> None:
    """A full beacon that still waits is not sent once consent is for the license only."""
    collector.will_answer(500)
    host.count(export=2)
    host.tick()
    choose(host, "license")
    host.sleep(DAY)
    host.tick()
    assert "server" in collector.beacons[0]
    assert "server" not in collector.beacons[1]
    assert collector.beacons[0]["beacon_id"] != collector.beacons[1]["beacon_id"]
    assert all("server" not in each["beacon"] for each in host.kept()["queue"])


def test_without_consent_nothing_is_sent_or_kept(host: Host, collector: Collector) -> None:
    """After consent is withdrawn the counts and the waiting beacons are gone; the install id stays for its rights."""
    collector.will_answer(500)
    host.count(export=2)
    host.tick()
    host.count(export=3)
    choose(host, "off")
    host.sleep(DAY)
    assert host.tick()["status"] == "off"
    state = host.kept()
    assert (state["queue"], state["modules"], state["log"]) == ([], [], [])
    assert state["install_id"] == collector.beacons[0]["install_id"]
    assert not (host.state / "counts").exists()
    assert len(collector.requests) == 1
    choose(host, "full")
    host.count(export=7)
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"
    assert collector.beacons[1]["features"] == {"export": 7}


@pytest.mark.parametrize(("name", "value"), [("DO_NOT_TRACK", "1"), ("PHAROS_TELEMETRY", "off")])
def test_the_environment_of_a_command_forbids(
    host: Host, collector: Collector, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """DO_NOT_TRACK and PHAROS_TELEMETRY=off turn a command's telemetry off, and change nothing else."""
    host.count(export=2)
    code = "echo json_encode([$client->count('export'), $client->tick()->status()]);"
    monkeypatch.setenv(name, value)
    assert host.run(code) == [False, "off"]
    monkeypatch.delenv(name)
    assert collector.requests == []
    assert host.tick()["status"] == "sent"
    assert collector.beacons[0]["features"] == {"export": 2}


def test_the_preview_is_the_next_beacon(host: Host, collector: Collector) -> None:
    """Apart from its id and time the preview is byte for byte what is sent next."""
    options = f"'license' => ['status' => 'Active', 'key' => {LICENSE_KEY!r}], 'source' => 'shop'"
    before = host.run("echo json_encode($client->preview());", options)  # the license is asked by the cron alone
    host.tick(options)
    first = collector.beacons[0]
    assert {**before, "license": 0, "beacon_id": 0, "install_id": 0, "sent_at": before["sent_at"][:10]} == {
        **first, "license": 0, "beacon_id": 0, "install_id": 0, "sent_at": first["sent_at"][:10]
    }  # fmt: skip
    host.count(export=2)
    preview = host.run("$client->count('export'); echo json_encode($client->preview());", options)
    host.sleep(DAY)
    host.tick(options)
    sent = collector.beacons[1]
    for beacon in (preview, sent):
        assert beacon.pop("beacon_id")
        assert beacon.pop("sent_at")
    assert json.dumps(preview, sort_keys=True) == json.dumps(sent, sort_keys=True)
    assert sent["features"] == {"export": 3}


def test_the_preview_shows_no_id_that_is_not_made(host: Host) -> None:
    """Before the first report the page is the same at each look: it names no id that the report will not have."""
    looks = [host.run("echo json_encode([$client->preview(), $client->installId()]);") for _ in range(2)]
    for preview, install_id in looks:
        assert preview["install_id"] == "(made with the first report)"
        assert preview["beacon_id"] == "(made with the report)"
        assert install_id is None
    assert "The cron asks for the license" in host.run("echo json_encode($client->page());")
    host.tick()
    assert "The cron asks for the license" not in host.run("echo json_encode($client->page());")


@pytest.mark.parametrize(("first", "then"), [("full", "license"), ("license", "full")])
def test_the_preview_keeps_the_license_when_the_level_changes(
    host: Host, collector: Collector, first: str, then: str
) -> None:
    """What the cron has asked once is in the preview of each level."""
    options = f"'license' => ['status' => 'Active', 'key' => {LICENSE_KEY!r}]"
    choose(host, first)
    host.tick(options)
    choose(host, then)
    preview = host.run("echo json_encode($client->preview());", options)
    assert preview["license"] == collector.beacons[0]["license"]
    assert preview["license"]["status"] == "licensed"
    assert preview["consent"]["level"] == then
    assert ("server" in preview) == (then == "full")


def test_off_says_that_nothing_is_sent(host: Host) -> None:
    """With Off the page shows what Full would send, and says so."""
    choose(host, "off")
    page = host.run("echo json_encode($client->page());")
    assert "What Full would send" in page
    assert "Nothing is sent now." in page
    assert "The next report" not in page
    assert "Nothing is sent now." not in post(host, "choose", level="full")


def test_the_choice_names_all_that_full_sends(host: Host) -> None:
    """The text of the choice Full has a word for each part that only a full beacon has."""
    words = {
        "os": "operating system", "arch": "architecture", "virtualization": "virtualization", "php": "PHP",
        "whmcs": "WHMCS", "database": "database", "web_server": "web server", "sapi": "SAPI", "features": "features",
    }  # fmt: skip
    parts = {*BEACON["server?"], *BEACON["platform?"], "arch?", "features"}
    assert {part.rstrip("?") for part in parts} == words.keys()
    choice = re.search(r"Full: [^<]+", host.run("echo json_encode($client->page());"))
    assert choice
    assert [word for word in words.values() if word not in choice[0]] == []


def test_what_cannot_be_undone_takes_two_clicks(host: Host) -> None:
    """All requests that change something, but to lift, show what they do before the button that does it."""
    page = host.run("echo json_encode($client->page());")
    for action, text in {
        "rectify": "a license that you dispute is looked at",
        "restrict": "seals all that it holds",
        "erase": "deletes all reports of this install",
        "object": "stores no further report",
        "forget": "are deleted too",
    }.items():
        [inside] = re.findall(rf'<details><summary>[^<]+</summary>(?:(?!</details>).)*value="{action}"', page)
        assert text in inside


@pytest.mark.parametrize("action", ["access", "erase", "object", "restrict", "lift"])
def test_the_page_makes_the_owner_s_requests(host: Host, collector: Collector, action: str) -> None:
    """A button sends the request with the install's own id, and the page follows its progress."""
    host.tick()
    collector.will_answer(202, TICKET)
    assert "The request was received. &quot;Show how far" in post(host, action)
    request = collector.requests[1]
    assert request.path == "/v1/rights"
    assert json.loads(request.body) == {"install_id": collector.beacons[0]["install_id"], "action": action}
    assert "authorization" not in request.headers
    collector.will_answer(
        200, json.dumps({"state": "done", "action": action, "result": {"usage": ["row-17", 2**64 - 1]}})
    )
    page = post(host, "progress")
    assert re.search(r"UTC, .+: done</div>", page)
    assert collector.requests[2].path == "/v1/rights/ticket-1"
    assert "row-17" in page
    assert str(2**64 - 1) in page  # PHP's integers end at half of it
    assert 'download="telemetry.json"' in page
    assert host.run("echo json_encode($client->level());") == ("off" if action == "object" else "full")


@pytest.mark.parametrize(
    ("action", "said"), [("restrict", "You restricted what is held"), ("object", "You objected: no")]
)
def test_the_page_says_what_holds_until_it_is_lifted(host: Host, collector: Collector, action: str, said: str) -> None:
    """From the request on, whatever else is asked for; not if the collector refuses it."""
    host.tick()
    assert said not in post(host, "")
    collector.will_answer(422, refusal(422, "bad_format"))
    post(host, action)
    assert said not in post(host, "")
    for each, holds in ((action, True), ("access", True), ("lift", False)):
        collector.will_answer(202, TICKET)
        post(host, each)
        assert (said in post(host, "")) == holds


@pytest.mark.parametrize(
    ("action", "said"), [("restrict", "You restricted what is held"), ("object", "You objected: no")]
)
def test_a_request_that_is_refused_later_holds_nothing(
    host: Host, collector: Collector, action: str, said: str
) -> None:
    """It holds while the cron sends it again, and no longer once the collector refuses it."""
    host.tick()
    collector.will_answer(503)
    assert said in post(host, action)
    collector.will_answer(422, refusal(422, "bad_format"))
    host.sleep(DAY)
    host.tick()
    assert said not in post(host, "")


def test_the_page_states_what_the_license_is(host: Host, collector: Collector) -> None:
    """The owner's statement about the license of this module goes to the collector."""
    host.tick()
    collector.will_answer(202, TICKET)
    assert "The request was received" in post(host, "rectify", license="licensed")
    assert json.loads(collector.requests[1].body) == {
        "install_id": collector.beacons[0]["install_id"], "action": "rectify",
        "rectify": {"module": {"name": "invoice_pro"}, "license": {"status": "licensed"}},
    }  # fmt: skip


def test_a_large_export_is_shown(host: Host, collector: Collector) -> None:
    """All that is held of an install with many features and months takes more than any other answer."""
    host.tick()
    collector.will_answer(202, TICKET)
    post(host, "access")
    rows = [f"row-{number}" for number in range(30_000)]
    collector.will_answer(200, json.dumps({"state": "done", "action": "access", "result": {"usage": rows}}))
    page = post(host, "progress")
    assert ": done</div>" in page
    assert "row-29999" in page


def test_an_objection_is_in_force_at_once(host: Host, collector: Collector) -> None:
    """While the collector is away an objection turns telemetry off here, and the cron sends it until it is received."""
    host.tick()
    collector.will_answer(503)
    page = post(host, "object")
    assert "http_503" in page
    assert "The cron sends the request again" in page
    assert host.run("echo json_encode($client->level());") == "off"
    assert "not received yet" in post(host, "progress")
    collector.will_answer(503)
    assert host.tick()["status"] == "off"
    collector.will_answer(202, TICKET)
    host.tick()
    host.tick()
    bodies = [json.loads(each.body) for each in collector.requests[1:]]
    assert [each["action"] for each in bodies] == ["object"] * 3
    collector.will_answer(200, json.dumps({"state": "done", "action": "object", "result": None}))
    assert ": done" in post(host, "progress")


def test_an_objection_before_the_first_report_is_one(host: Host, collector: Collector) -> None:
    """Where nothing is held an objection turns telemetry off all the same."""
    assert "Nothing is held." in post(host, "object")
    assert host.tick()["status"] == "off"
    assert collector.requests == []


@pytest.mark.parametrize("wrong", [2 * DAY, 365 * DAY])
def test_an_objection_under_a_wrong_clock_can_be_taken_back(host: Host, collector: Collector, wrong: int) -> None:
    """The choice that follows an objection takes it back, whatever the clock said when it was learnt."""
    host.tick()
    host.sleep(wrong)
    collector.will_answer(202, accepted(objected=1))
    assert host.tick()["status"] == "objected"
    host.sleep(DAY - wrong)
    choose(host, "full")
    assert host.run("echo json_encode($client->troubles());") == []
    host.sleep(2 * DAY)  # a due time of less than two days ahead is believed
    assert host.tick()["status"] == "sent"


def test_an_erasure_survives_a_new_choice(host: Host, collector: Collector) -> None:
    """Who erases everything and then chooses again, before the collector could be reached, is erased all the same."""
    host.tick()
    collector.will_answer(503)
    host.run("echo json_encode($client->forget()->status());")
    choose(host, "full")
    collector.will_answer(202, TICKET)
    host.sleep(DAY)
    host.tick()
    paths = [request.path for request in collector.requests]
    assert paths == ["/v1/beacons", "/v1/rights", "/v1/rights", "/v1/beacons"]


def test_forget_ends_also_where_a_cron_is_at_work(host: Host, collector: Collector) -> None:
    """It says that it is not done yet, nothing more is sent, and the next run of the cron does it."""
    host.tick()
    with (host.state / "cron.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "A run of the cron is at work" in post(host, "forget")
    assert host.run("echo json_encode($client->level());") == "off"
    collector.will_answer(202, TICKET)
    host.tick()
    assert json.loads(collector.requests[1].body)["action"] == "erase"
    assert host.run("echo json_encode($client->installId());") is None


@pytest.mark.parametrize("action", ["$client->forget()", "$client->request('object')"])
def test_what_cannot_be_kept_is_not_said_to_be_done(host: Host, collector: Collector, action: str) -> None:
    """Where the choice cannot be stored, as on a full disk, the request fails and the collector is not asked."""
    host.tick()
    (host.state / "choice.json").mkdir()
    assert host.run(f"echo json_encode({action});")["reason"] == "state_unavailable"
    assert len(collector.requests) == 1


def test_the_page_names_the_policy_that_was_agreed_to(host: Host) -> None:
    """After a change of the policy the page says that the choice was about another one."""
    before, after = "'policy' => '2026-05'", "'policy' => '2026-11'"
    assert host.run("echo json_encode($client->choose('full'));", before) is True
    assert "was about the privacy policy" not in host.run("echo json_encode($client->page());", before)
    page = host.run("echo json_encode($client->page());", after)
    assert "Privacy policy of 2026-11. Your choice was about the privacy policy of 2026-05." in page


@pytest.mark.parametrize("level", ["license", "full"])
def test_a_new_choice_takes_an_objection_back(host: Host, collector: Collector, level: str) -> None:
    """After an objection the page's choice lifts it at the collector first. Where that fails nothing is chosen."""
    host.tick()
    collector.will_answer(202, TICKET)
    post(host, "object")
    assert "Saved." in post(host, "choose", level="off")
    assert len(collector.requests) == 2
    collector.will_answer(503)
    assert "That did not work" in post(host, "choose", level=level)
    assert host.run("echo json_encode($client->level());") == "off"
    collector.will_answer(202, TICKET)
    assert "Saved." in post(host, "choose", level=level)
    assert [json.loads(each.body)["action"] for each in collector.requests[1:]] == ["object", "lift", "lift"]
    assert host.run("echo json_encode($client->level());") == level
    assert "Saved." in post(host, "choose", level=level)
    assert len(collector.requests) == 4
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"


def test_a_misspelt_option_is_told(host: Host) -> None:
    """An option that the client does not know is among what is wrong, and on the page."""
    assert "unknown_option licence" in host.run("echo json_encode($client->troubles());", "'licence' => 'Active'")
    assert "does not know: licence." in host.run("echo json_encode($client->page());", "'licence' => 'Active'")


def test_a_run_of_the_cron_is_missed_after_a_while(host: Host) -> None:
    """Right after a choice nobody misses the cron; a quarter of an hour later the page says that it has not run."""
    choose(host, "full")
    assert host.run("echo json_encode($client->troubles());") == []
    host.sleep(1000)
    assert host.run("echo json_encode($client->troubles());") == ["cron_never_ran"]
    host.tick()
    assert host.run("echo json_encode($client->troubles());") == []


def test_forget_erases_there_and_here(host: Host, collector: Collector) -> None:
    """forget() asks the collector to erase, deletes the local data with the id, and turns telemetry off."""
    host.count(export=2)
    host.tick()
    host.count(export=3)
    collector.will_answer(202, TICKET)
    assert host.run("echo json_encode($client->forget()->status());") == "sent"
    assert json.loads(collector.requests[1].body)["action"] == "erase"
    assert host.run("echo json_encode([$client->installId(), $client->level()]);") == [None, "off"]
    left = {path.name for path in host.state.rglob("*") if path.is_file()}
    assert left == {"choice.json", "requests.json", "cron.lock"}


def test_forget_is_tried_again_by_the_cron(host: Host, collector: Collector) -> None:
    """While the collector is away the id is kept, nothing else is sent, and the cron asks again."""
    host.tick()
    collector.will_answer(503)
    assert host.run("echo json_encode($client->forget()->status());") == "failed"
    assert host.run("echo json_encode($client->level());") == "off"
    collector.will_answer(202, TICKET)
    host.tick()
    assert [request.path for request in collector.requests] == ["/v1/beacons", "/v1/rights", "/v1/rights"]
    assert host.run("echo json_encode($client->installId());") is None


def test_a_form_of_another_site_changes_nothing(host: Host, collector: Collector) -> None:
    """Without the token that the page showed in this session no button works."""
    host.options = ""
    for token in ("", "x"):
        page = host.run(
            "$_SERVER['REQUEST_METHOD'] = 'POST';"
            f"$_POST = ['pharos' => 'choose', 'level' => 'full', 'pharos_token' => {token!r}];"
            "echo json_encode($client->page());"
        )
        assert "Saved." not in page
    assert host.run("echo json_encode($client->level());") == "off"


def test_the_page_escapes_what_it_shows(host: Host, collector: Collector) -> None:
    """Nothing of the host or the collector becomes markup."""
    collector.will_answer(422, json.dumps({"reason": "bad_format", "path": "<script>", "detail": "<script>"}))
    evil = "'title' => '<script>alert(1)</script>', 'version' => '1\"><script>'"
    host.tick(evil)
    page = host.run("echo json_encode($client->page(['modulelink' => '\"><script>']));", evil)
    assert "<script>" not in page
