"""The way of a case, from the flag to its end and back, in a real browser and by the read API."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Browser, Page, expect

from core.license_keys import key_hash
from dashboard.formatting import day
from tests.dashboard.receiver import Receiver, receiving
from tests.end_to_end.axe import OF_COLORS, SCHEMES, WIDTHS, violations
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import System, running, wait_for
from tests.end_to_end.test_browser import browser, logged_in

__all__ = ["browser"]
NOW = datetime.now(UTC)
KEY = "WHMCS-0123456789"
PIRATE = beacon(license={"status": "unlicensed", "source": "unknown-shop", "key_hash": key_hash(KEY)})
CASES = "/api/v1/licensing/cases"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """The receiver of the webhook."""
    with receiving(b"ABC" * 8) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[System]:
    """An install that has reported `unlicensed` for six days, and its flag."""
    webhook = {"PHAROS_WEBHOOK_URL": receiver.url, "PHAROS_WEBHOOK_SECRET": f"whsec_{'QUJD' * 8}"}
    with running(tmp_path_factory.mktemp("cases") / "home", "embedded", PHAROS_K="1", **webhook) as system:
        report(system, *((6.0 - day, "unlicensed") for day in range(7)))
        wait_for(lambda: listed(system), "the case")
        yield system


def report(system: System, *reports: tuple[float, str]) -> None:
    """Post reports of the install: how many days ago, and the status."""
    sent = [
        {
            **PIRATE,
            "beacon_id": beacon()["beacon_id"],
            "sent_at": (NOW - timedelta(days=days)).isoformat(),
            "license": {**PIRATE["license"], "status": status},
        }
        for days, status in reports
    ]
    assert system.post(sent)[1]["accepted"] == len(sent)
    system.drain()


def listed(system: System, **args: str) -> list[dict[str, Any]]:
    status, answer = system.read(CASES, role="licensing", **args)
    assert status == 200, answer
    rows: list[dict[str, Any]] = answer["rows"]
    return rows


def call(system: System, path: str, token: str, body: dict[str, Any]) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{system.dashboard}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


def user(system: System, name: str, role: str = "licensing") -> str:
    return system.run("users", "add", name, "--role", role).stdout.decode().strip()


def opened(page: Page, system: System, case: str) -> None:
    page.goto(f"{system.dashboard}/licensing/{case}")
    expect(page.locator(".timeline")).to_contain_text("Flag unlicensed raised")


def test_a_flagged_install_leads_to_its_case(system: System, browser: Browser) -> None:
    """From its row on the page Installs. Opening the case is in the access log."""
    page = logged_in(browser, system, "fay", user(system, "fay"), "/licensing/installs")
    page.locator("#licensing-flag-list summary").first.wait_for()
    skip = page.get_by_role("link", name="Skip to the table of installs")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_id("licensing-table")
    page.locator("#licensing-grid").get_by_role("link", name="Unlicensed").click()
    expect(page.locator(".timeline")).to_contain_text("Flag unlicensed raised")
    looked = system.run("access", "list").stdout.decode().splitlines()
    assert [case for line in looked if " fay " in line and (case := page.url.rpartition("/")[2]) in line]


def test_a_case_is_taken_along(system: System, browser: Browser) -> None:
    """Its file is what the read API answers, and is in the access log."""
    case = listed(system)[0]["case"]
    page = logged_in(browser, system, "gil", user(system, "gil"), f"/licensing/{case}")
    expect(page.locator(".timeline")).to_contain_text("Flag unlicensed raised")
    with page.expect_download() as file:
        page.get_by_role("button", name="Download the case as JSON").click()
    assert json.loads(file.value.path().read_text()) == system.read(f"{CASES}/{case}", role="licensing")[1]
    looked = system.run("access", "list").stdout.decode().splitlines()
    assert [line for line in looked if " gil " in line and "case json" in line]


def test_a_list_that_was_empty_fills_again(system: System, browser: Browser) -> None:
    """From rows to no rows and back, then to other pages and back: each shows its content, and no script fails."""
    page = logged_in(browser, system, "dan", user(system, "dan"))
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))

    def choose(group: str, name: str) -> None:
        page.get_by_role("group", name=group).get_by_role("link", name=name, exact=True).click()

    def go(name: str) -> None:
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()

    rows, none, change = page.locator("#desk-table .case-name"), page.locator("#desk-table .empty"), "Change chosen"
    go("Cases")
    expect(rows).to_have_count(1)
    for group, empty, back in (("State", "Cleared", "All"), ("Severity", "Notice", "Any"), ("State", "Cleared", "All")):
        choose(group, empty)
        expect(none).to_be_visible()
        expect(page.get_by_role("button", name=change)).to_be_hidden()
        choose(group, back)
        expect(rows).to_have_count(1)
    expect(page.get_by_role("button", name=change)).to_be_disabled()
    page.get_by_role("checkbox").first.check()
    expect(page.get_by_role("button", name=change)).to_be_enabled()

    choose("Severity", "Notice")
    expect(none).to_be_visible()
    go("Installs")
    expect(page.locator("#licensing-grid")).to_contain_text("unknown-shop")
    for status, shown in (("trial", False), ("unlicensed", True), ("trial", False)):
        page.evaluate(
            "to => { history.replaceState(history.state, '', to);"
            " dispatchEvent(new CustomEvent('_dashprivate_pushstate')); }",
            f"/licensing/installs?status={status}",
        )
        expect(page.locator("#licensing-rows-content")).to_be_visible(visible=shown)
    page.goto(f"{system.dashboard}/licensing?state=all&page=99")
    expect(none).to_contain_text("No such page")
    expect(page.locator("#desk-pages a")).to_have_count(0)
    none.get_by_role("link", name="Go to the first").click()
    expect(rows).to_have_count(1)
    assert errors == []


def test_the_way_of_a_case(system: System, browser: Browser) -> None:
    """Flag, opened, assigned, noted, disputed by the owner, dismissed; the same does not come back, new evidence does.
    A deep link survives a login. Of two people the slower one is told what the other did."""
    case = listed(system)[0]["case"]
    password, other = user(system, "ada"), user(system, "bob")
    # A deep link leads through the login to the case.
    page = browser.new_context().new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{system.dashboard}/licensing/{case}")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{system.dashboard}/licensing/{case}")
    expect(page.locator("#case-evidence")).to_contain_text("What else may explain it")
    page.reload()
    expect(page.locator(".timeline")).to_contain_text("Reported unlicensed")

    second = logged_in(browser, system, "bob", other, f"/licensing/{case}")
    expect(second.locator(".timeline")).to_contain_text("Flag unlicensed raised")

    page.get_by_role("button", name="Assign to me").click()
    expect(page.locator("#case-head")).to_contain_text("ada")
    expect(page.locator("#case-outcome")).to_contain_text("1 case changed")
    page.get_by_label(re.compile("Note")).fill("Called the reseller.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".timeline")).to_contain_text("Called the reseller.")

    # Bob still sees the case without a decision.
    second.get_by_label(re.compile("Note")).fill("My own idea")
    with second.expect_navigation() as answer:
        second.get_by_role("button", name="Save").click()
    assert answer.value is not None
    assert answer.value.status == 409
    expect(second.locator("main")).to_contain_text("ada was faster")
    expect(second.locator("main")).to_contain_text("Called the reseller.")
    expect(second.locator("main")).to_contain_text("My own idea")

    # Whose key is it? A customer's key, or its hash, is compared; a mistyped hash is neither.
    expect(page.locator("#case-look_up")).to_contain_text("the module has no license registry")
    for given, said in (
        (f" {KEY} ", "The key matches."),
        (KEY.lower(), "No: another key"),
        (key_hash(KEY).upper(), "The key matches."),
    ):
        page.get_by_label(re.compile("A customer's license key")).fill(given)
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("#case-look_up .outcome")).to_contain_text(said)
    page.get_by_label(re.compile("A customer's license key")).fill(key_hash(KEY)[:-1])
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("main")).to_contain_text("neither a key nor its hash")
    page.get_by_role("link", name="Back to the case").click()
    page.wait_for_url(f"{system.dashboard}/licensing/{case}")

    # The owner disputes it.
    stated = {"module": {"name": PIRATE["module"]["name"]}, "license": {"status": "licensed"}}
    asked = {"install_id": PIRATE["install_id"], "action": "rectify", "rectify": stated}
    body = urllib.request.Request(
        f"{system.collector}/v1/rights", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    assert urllib.request.urlopen(body, timeout=60).status == 202
    wait_for(lambda: listed(system)[0]["state"] == "disputed", "the dispute")
    opened(page, system, case)
    expect(page.locator("#case-evidence")).to_contain_text("The owner disputes it")
    expect(page.locator(".timeline")).to_contain_text("The owner states: status licensed")

    page.get_by_label("State").select_option("dismissed")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#case-head")).to_contain_text("Dismissed")
    page.goto(f"{system.dashboard}/licensing")
    expect(page.locator("#desk-table")).to_contain_text("No cases")

    report(system, (0.0, "unlicensed"))
    assert listed(system) == []
    # A state has the first and the last report of each kind on each day: on one day four flips may not be told.
    report(system, (5.9, "licensed"), (4.9, "licensed"))
    wait_for(lambda: listed(system), "the case with new evidence")
    page.reload()
    expect(page.locator("#desk-table")).to_contain_text("Came back")
    expect(page.locator("#desk-count")).to_contain_text("1 case not closed, 1 install in question.")
    opened(page, system, case)
    expect(page.locator("#case-evidence")).to_contain_text("Flapping")

    # Found by the customer's key, beside one that nobody has.
    page.goto(f"{system.dashboard}/licensing")
    expect(page.locator("#desk-table td[data-label='Last report']")).to_have_text(day(NOW.date()))
    page.get_by_text("Find license keys").click()
    page.locator("textarea[name=keys]").fill(f"nobody's key\n{KEY}\n")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".keys li").first).to_contain_text("no install has reported it")
    expect(page.locator(".keys li").nth(1)).to_contain_text("1 install of invoice_pro reported it within 13 months")
    expect(page.locator("#desk-table .case-name")).to_have_count(1)
    assert KEY not in page.url
    page.locator("textarea[name=keys]").fill("0123456789abcdef" * 3)
    page.get_by_role("button", name="Find").click()
    expect(page.locator("body")).to_contain_text("Key 1 is neither a license key nor its SHA-256")

    # Several at once, and taken back.
    page.goto(f"{system.dashboard}/licensing")
    page.get_by_role("checkbox").first.check()
    page.locator("#desk-bulk select[name=state]").select_option("watching")
    page.get_by_role("button", name="Change chosen cases").click()
    expect(page.locator("#desk-table")).to_contain_text("Disputed")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#desk-outcome")).to_contain_text("Undone: 1 case.")
    page.reload()
    expect(page.locator("#desk-table")).to_contain_text(case[-16:-8])
    expect(page.locator("#desk-outcome")).to_be_empty()
    assert [row["action"] for row in system.read(f"{CASES}/{case}", role="licensing")[1]["revisions"]] == [
        *["changed"] * 4, "undone",
    ]  # fmt: skip
    looked = system.run("access", "list").stdout.decode()
    assert "case changed" in looked
    assert "case undone" in looked
    assert "key looked up" in looked
    assert "keys looked up" in looked
    assert KEY not in looked


def test_the_webhook_tells_of_the_way(system: System, receiver: Receiver) -> None:
    """All that happened is told, each event once by its id, though the receiver fails and the sender is killed."""
    expected = {"flag.raised": 1, "flag.paused": 3, "case.changed": 5}
    wait_for(lambda: {kind: len(receiver.taken(kind)) for kind in expected} == expected, "the events")
    receiver.mode = "fail"
    case, before = listed(system)[0], receiver.requests.total()
    token = system.run("tokens", "new", "--role", "licensing").stdout.decode().strip()
    wait_for(lambda: call(system, f"{CASES}/{case['case']}", token, {})[0] == 422, "the token is known")
    assert call(system, f"{CASES}/{case['case']}", token, {"revision": 5, "state": "contacted"})[0] == 200
    wait_for(lambda: receiver.requests.total() > before, "a try in vain")
    for worker in system.workers("dashboard"):
        os.kill(worker, signal.SIGKILL)
    receiver.mode = "ok"
    wait_for(lambda: len(receiver.taken("case.changed")) == 6, "the event that failed")
    told = [event["data"] for event in receiver.taken("case.changed")]
    assert sorted(data["revision"] for data in told) == [1, 2, 3, 4, 5, 6]
    assert {event["data"]["case"] for event in receiver.taken()} == {case["case"]}
    assert "Called the reseller." not in str(receiver.events)
    assert not receiver.forged
    wait_for(lambda: system.answers(system.dashboard), "the dashboard")


def test_the_read_api_decides_and_refuses(system: System) -> None:
    """A token decides with the revision that it saw. A stale one gets a 409. Product gets 403."""
    case = listed(system, state="all")[0]["case"]
    token = system.run("tokens", "new", "--role", "licensing").stdout.decode().strip()
    product = system.run("tokens", "new", "--role", "product").stdout.decode().strip()
    wait_for(lambda: call(system, f"{CASES}/{case}", product, {"revision": 0})[0] == 403, "the tokens are known")
    assert system.read(CASES, role="product")[0] == 403
    wait_for(lambda: call(system, f"{CASES}/{case}", token, {})[0] == 422, "the token is known")
    status, told = system.read(f"{CASES}/{case}", role="licensing")
    assert (status, told["case"]) == (200, case)
    assert [one["id"] for one in told["in_question"]] == [told["id"]]
    status, made = call(system, f"{CASES}/{case}", token, {"revision": told["revision"], "state": "watching"})
    assert (status, made["state"]) == (200, "watching")
    status, lost = call(system, f"{CASES}/{case}", token, {"revision": told["revision"], "state": "dismissed"})
    assert (status, lost["reason"], lost["change"]["change"]) == (409, "conflict", made["change"])
    assert call(system, f"{CASES}/{case}", token, {"revision": 1, "note": "x" * 2001})[1]["path"] == "note"
    for wrong in ("a\x00b", "a\x1bb", "a\u202eb", "a\u2066b"):
        refused = call(system, f"{CASES}/{case}", token, {"revision": 1, "note": wrong})
        assert (refused[0], refused[1]["reason"], refused[1]["path"]) == (422, "bad_format", "note")
    status, refused = call(system, f"{CASES}/{case}", token, {"revision": made["revision"]})
    assert (status, refused["reason"]) == (422, "missing_field"), "nothing was decided"
    assert call(system, f"{CASES}/{case}", token, {"revision": 1, "state": "guilty"})[1]["path"] == "state"
    assert call(system, f"{CASES}/{case}", token, {"revision": 1, "assignee": "nobody at all"})[1]["path"] == "assignee"
    status, undone = call(system, f"{CASES}/{case}", token, {"revision": 0, "undo": made["change"]})
    assert (status, undone["action"]) == (200, "undone")
    assert call(system, f"{CASES}/m.install.0000000000000001", token, {"revision": 0})[0] == 404


def test_the_pages_of_cases_are_accessible(system: System, browser: Browser) -> None:
    """axe finds nothing on the list, a case and the trends: light and dark, on a desk and on a phone."""
    case = listed(system, state="all")[0]["case"]
    page = logged_in(browser, system, "eve", user(system, "eve"))
    shown = {
        "/licensing?state=all": "#desk-table .case-name",
        f"/licensing/{case}": ".timeline",
        "/licensing/trends": "#unlicensed-body table",
    }
    found = []
    for path, content in shown.items():
        page.goto(f"{system.dashboard}{path}")
        expect(page.locator(content).first).to_be_visible()
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            rules = OF_COLORS if scheme == "dark" else ()
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                found += [f"{path} {scheme} {width}: {each}" for each in violations(page, *rules)]
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert found == []
