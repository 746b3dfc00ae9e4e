"""What the owner of a server may ask about its data: all six actions, from a client, over the whole system."""

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, System, fetch, running, wait_for
from tests.end_to_end.test_kills import owners_of_the_engine

Install = dict[str, Any]


@pytest.fixture(scope="module", params=ENGINES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system of all these tests. After them, the aggregates agree with the rows."""
    with running(tmp_path_factory.mktemp("rights") / "home", request.param, PHAROS_K="1") as system:
        yield system
        assert stopped(system)
        recounted = system.run("recount")
        assert recounted.returncode == 0, recounted.stdout


def stopped(system: System) -> bool:
    """Stop a system, unless a test has; returns whether all of it ended cleanly."""
    assert system.process is not None
    return (system.stop() if system.process.poll() is None else system.process.returncode) == 0


@pytest.fixture
def system(shared: System) -> System:
    """The system of the tests before, which runs."""
    return shared.in_operation()


@pytest.fixture
def module() -> str:
    """A module of which one test alone sends beacons, so that its figures are those of this test."""
    return f"module_{uuid.uuid4().hex[:12]}"


def sent_now(module: str, **more: Any) -> dict[str, Any]:
    """A beacon of a module."""
    return beacon(module={"name": module, "version": "3.2.1"}, **more)


def curl(*arguments: str) -> Any:
    """What curl gets, as JSON; the address comes last."""
    done = subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", *arguments],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def ask(system: System, install_id: str, action: str, **more: Any) -> str:
    """Ask for an action as anybody can, with curl alone; returns the address of its status."""
    body = json.dumps({"install_id": install_id, "action": action, **more})
    answer = curl("-H", "Content-Type: application/json", "--data", body, f"{system.collector}/v1/rights")
    assert answer.keys() == {"request", "status"}
    return f"{system.collector}{answer['status']}"


def done(address: str) -> Any:
    """Wait until a request is carried out; its result."""
    wait_for(lambda: fetch(address)[1]["state"] != "pending", "the request to be carried out", 180)
    answer = curl(address)
    assert answer["state"] == "done"
    return answer["result"]


def request(system: System, install_id: str, action: str, **more: Any) -> Any:
    return done(ask(system, install_id, action, **more))


def days_of(install_id: str, module: str, **more: Any) -> list[dict[str, Any]]:
    """A beacon of this install and module for each of three days."""
    now = datetime.now(UTC)
    return [
        sent_now(module, install_id=install_id, sent_at=(now - timedelta(days=back, minutes=1)).isoformat(), **more)
        for back in range(3)
    ]


def second(sent: dict[str, Any]) -> str:
    """When a beacon was sent, to the second, as `access` gives it."""
    return f"{datetime.fromisoformat(sent['sent_at']):%Y-%m-%dT%H:%M:%SZ}"


def figures(system: System, module: str) -> tuple[int, int, int]:
    """Installs, uses and rows of licensing of a module that anybody may see."""
    system.drain()
    installs, uses = (
        sum(row["value"] or 0 for row in system.rows(metric, grain="period", by="none", module=module))
        for metric in ("installs", "feature_uses")
    )
    return installs, uses, len(system.read("/api/v1/licensing/installs", module=module, limit="1000")[1]["rows"])


def by_value(system: System, module: str, by: str) -> dict[str, int]:
    """Installs of a module by value."""
    return {row["key"]: row["value"] for row in system.rows("installs", by=by, grain="period", module=module)}


def test_access_gives_all_that_is_held(system: System, module: str) -> None:
    """Both planes' rows of the install, as they are stored, and nothing of anybody else."""
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    sent = days_of(mine, module, features={"invoice.pdf_export": 2})
    system.post([*sent, *(one | {"module": {"name": module, "version": "9.9.9"}} for one in days_of(other, module))])
    held = request(system, mine, "access")
    usage, license = held["usage"]["usage_beacons"], held["license"]["license_states"]
    assert sorted(row["day"] for row in usage) == sorted(one["sent_at"][:10] for one in sent)
    assert all(row["features"] == {"invoice.pdf_export": 2} and row["php"] == "8.2.12" for row in usage)
    assert [row["ip"] for row in license] == ["127.0.0.1"] * 3
    assert [row["first"] for row in license] == [row["last"] for row in license] == sorted(map(second, sent))
    assert {row["status_since"] for row in license} == {min(map(second, sent))}
    assert {row["status"] for row in license} == {"licensed"}
    assert len(held["usage"]["installs_by_month"]) in (1, 2)
    assert held["license"]["license_sightings"] == held["license"]["sightings_by_install"] == []
    assert "9.9.9" not in json.dumps(held)
    assert held["decisions"] == {"objected": False, "restricted": False}
    assert mine not in json.dumps(held)
    nobody = request(system, str(uuid.uuid4()), "access")
    assert not any(rows for plane in ("usage", "license") for rows in nobody[plane].values())


def test_erase_leaves_nothing_and_an_install_may_begin_anew(system: System, module: str) -> None:
    """An erasure leaves the figures without the install; a late retry brings nothing back, a new beacon counts."""
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    sent = days_of(mine, module)
    system.post([*sent, *days_of(other, module)])
    assert figures(system, module) == (2, 6, 2)
    request(system, mine, "erase")
    assert figures(system, module) == (1, 3, 1)
    assert not any(request(system, mine, "access")["usage"].values())
    late = [dict(sent[0]), {**sent[1], "beacon_id": str(uuid.uuid4())}]
    answer = system.post(late)[1]
    assert (answer["accepted"], answer["duplicates"]) == (0, 2)
    lines = b"\n".join(json.dumps({**one, "beacon_id": str(uuid.uuid4())}).encode() for one in sent)
    imported = system.run("import", "-", stdin=lines)
    assert imported.stdout.split()[-3:] == [b"imported=0", b"duplicates=0", b"rejected=3"]
    assert b"-:1: objected" in imported.stderr
    assert figures(system, module) == (1, 3, 1)
    assert system.post(sent_now(module, install_id=mine))[1]["accepted"] == 1
    assert figures(system, module) == (2, 4, 2)


def test_erased_bytes_are_gone_from_every_file(system: System, module: str) -> None:
    """What only this install had said is in no file of the home, the engine or its logs, a minute after the erasure."""
    mine = str(uuid.uuid4())
    marks = {"version": "7.7.7-zq7xk", "source": "zq7xk-store", "php": "8.2.12-zq7xk", "feature": "zq7xk_feature"}
    system.post([sent_now(module) for _ in range(20)])
    said = {
        "module": {"name": module, "version": marks["version"]},
        "license": {"status": "unlicensed", "source": marks["source"]},
        "platform": {"php": marks["php"]},
        "features": {marks["feature"]: 1},
    }
    system.post([one | said for one in days_of(mine, module)])
    system.drain()
    found = {mark: files_with(system, mark) for mark in marks.values()}
    assert all(found.values()), found  # else their absence would prove nothing
    request(system, mine, "erase")
    wait_for(lambda: not any(files_with(system, mark) for mark in marks.values()), "the bytes to go", 180)
    assert figures(system, module)[0] == 20
    assert system.stop() == 0
    assert {mark: files_with(system, mark) for mark in marks.values()} == {mark: [] for mark in marks.values()}


def files_with(system: System, mark: str) -> list[str]:
    """The files of the home and the engine that hold these bytes."""
    folders = [system.home]
    if system.environ["PHAROS_CLICKHOUSE_URL"]:
        node = Path(os.environ["CLICKHOUSE_CONFIG"]).parent
        folders.append(node.parent if os.environ.get("CLICKHOUSE_CLUSTER") else node)
    found = []
    for folder in folders:
        for parent, _, names in os.walk(folder):  # which passes over what is merged away meanwhile
            for path in (Path(parent, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file() and mark.encode() in path.read_bytes():  # no socket
                        found.append(str(path.relative_to(folder)))
    return found


def test_rectify_corrects_what_was_wrong_and_leaves_what_was_sighted(system: System, module: str) -> None:
    """Corrected values of the usage plane stand in every figure, and nothing is counted twice. What the owner says of
    module and license changes no sighting, no flag and no figure: it is kept beside them, with its history."""
    mine = str(uuid.uuid4())
    unlicensed = {"status": "unlicensed", "source": "warez"}
    system.post([*days_of(mine, module, license=unlicensed), *days_of(str(uuid.uuid4()), module)])
    correction = {"license": {"status": "licensed", "source": "own-shop"}, "platform": {"php": "8.3.1"}}
    request(system, mine, "rectify", rectify=correction)
    request(system, mine, "rectify", rectify={"module": {"name": module, "version": "9.9.9"}})
    assert figures(system, module) == (2, 6, 2)
    for by, values in {"license_status": {"licensed", "unlicensed"}, "version": {"3.2.1"}}.items():
        assert by_value(system, module, by).keys() == values
    assert by_value(system, module, "php") == {"8.3.1": 1, "8.2.12": 1}
    rows = system.read("/api/v1/licensing/installs", module=module)[1]["rows"]
    told = {(row["status"], row["source"], row["review"], *(flag["rule"] for flag in row["flags"])) for row in rows}
    assert told == {
        ("unlicensed", "warez", "disputed"), ("licensed", "whmcs-addon-modules", None),
    }  # fmt: skip
    held = request(system, mine, "access")
    assert {(row["os"], row["php"]) for row in held["usage"]["usage_beacons"]} == {("debian", "8.3.1")}
    assert {(row["status"], row["source"]) for row in held["license"]["license_states"]} == {("unlicensed", "warez")}
    stated = {(row["module"], row["status"], row["version"]) for row in held["license"]["owner_statements"]}
    assert stated == {("", "licensed", ""), (module, "", "9.9.9")}


def test_object_stores_nothing_more_until_lifted(system: System, module: str) -> None:
    """From the moment of the answer on, beacons of the install are answered 202 and not stored."""
    mine = str(uuid.uuid4())
    system.post(sent_now(module, install_id=mine))
    address = ask(system, mine, "object")
    own = [sent_now(module, install_id=mine) for _ in range(2)]
    answer = system.post([*own, sent_now(module)])[1]
    assert (answer["accepted"], answer["objected"], answer["duplicates"], answer["rejected"]) == (1, 2, 0, [])
    status, answer = system.post(sent_now(module, install_id=mine))
    assert (status, answer["accepted"], answer["objected"]) == (202, 0, 1)
    checked = system.post(sent_now(module, install_id=mine), path="/v1/beacons/check")[1]["beacons"][0]
    assert (checked["usage"], checked["license"]) == (None, None)
    done(address)
    assert figures(system, module) == (2, 2, 2)
    request(system, mine, "lift")
    assert "objected" not in system.post(sent_now(module, install_id=mine))[1]
    assert figures(system, module) == (2, 3, 2)


def test_restricted_data_is_kept_and_used_for_nothing(system: System, module: str) -> None:
    """Under a restriction no figure holds the install, what it goes on sending is kept, and lifting brings all back."""
    mine = str(uuid.uuid4())
    system.post([*days_of(mine, module), *days_of(str(uuid.uuid4()), module)])
    before = request(system, mine, "access")
    request(system, mine, "restrict")
    assert figures(system, module) == (1, 3, 1)
    assert system.post(sent_now(module, install_id=mine))[1]["accepted"] == 1
    assert figures(system, module) == (1, 3, 1)
    held = request(system, mine, "access")
    assert (len(held["sealed"]), held["decisions"]["restricted"]) == (3 + 3 + 1, True)
    assert not any(held["usage"].values())
    request(system, mine, "lift")
    assert figures(system, module) == (2, 7, 2)
    after = request(system, mine, "access")
    assert {row["ip"] for row in after["license"]["license_states"]} == {"127.0.0.1"}
    assert {row["first"][:10] for row in after["license"]["license_states"]} == {
        row["first"][:10] for row in before["license"]["license_states"]
    } | {f"{datetime.now(UTC):%Y-%m-%d}"}
    marks = ("mark", "counted", "edition")  # how a row came, not what it says
    kept = [{name: row[name] for name in row if name not in marks} for row in after["usage"]["usage_beacons"]]
    assert all({n: row[n] for n in row if n not in marks} in kept for row in before["usage"]["usage_beacons"])
    assert after["sealed"] == []


def test_a_request_comes_after_what_came_before_it(system: System, module: str) -> None:
    """Asked right behind a post that nobody has loaded yet, an erasure takes that post along, and not the next one."""
    installs = [str(uuid.uuid4()) for _ in range(5)]
    addresses = []
    for mine in installs:
        system.post([sent_now(module, install_id=mine) for _ in range(50)])
        addresses.append(ask(system, mine, "erase"))
        assert system.post([sent_now(module, install_id=mine)] * 2)[1]["accepted"] == 1
    for address in addresses:
        done(address)
    system.drain()
    for address in [ask(system, mine, "access") for mine in installs]:
        assert len(done(address)["usage"]["usage_beacons"]) == 1


def test_a_ticket_is_the_only_key(system: System, module: str) -> None:
    """Whoever has no ticket learns nothing, and the record of a request names nobody."""
    mine = str(uuid.uuid4())
    system.post(sent_now(module, install_id=mine))
    before = set(system.run("rights", "list").stdout.decode().splitlines())
    address = ask(system, mine, "access")
    done(address)
    ticket = address.rpartition("/")[2]
    for wrong in (ticket[:-1] + ("A" if ticket[-1] != "A" else "B"), "x", "..", ticket + "a"):
        assert fetch(f"{system.collector}/v1/rights/{wrong}")[0] == 404
    for secret in (ticket, mine, mine.replace("-", "")):
        assert files_with(system, secret) == []
    (listed,) = set(system.run("rights", "list").stdout.decode().splitlines()) - before
    assert "access" in listed
    assert "done" in listed
    assert ticket not in listed
    assert mine not in listed


def test_requests_wait_for_clickhouse_and_outlive_a_restart(system: System, module: str) -> None:
    """A request that was answered is carried out, whatever stops in between; its 202 was on disk."""
    mine = str(uuid.uuid4())
    system.post(days_of(mine, module))
    system.drain()
    addresses = [ask(system, mine, action) for action in ("restrict", "lift", "erase")]
    assert system.stop() == 0
    system.start()
    for address in addresses:
        done(address)
    assert figures(system, module) == (0, 0, 0)


class Killer:
    """Kills whoever loads, at random moments, while it is in use."""

    def __init__(self, system: System, seed: int) -> None:
        self.kills = 0
        self._system, self._random, self._stop = system, random.Random(seed), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._random.uniform(0.3, 2.5)):
            for pid in owners_of_the_engine(self._system):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills += 1


def test_rights_hold_while_the_loader_is_killed_at_random(system: System, module: str) -> None:
    """All six actions of a dozen installs, by curl, under kills: each is done, and nothing lost or doubled."""
    installs = {action: [str(uuid.uuid4()) for _ in range(2)] for action in
                ("access", "erase", "rectify", "object", "restrict", "lift")}  # fmt: skip
    for each in (one for of_action in installs.values() for one in of_action):
        assert system.post(days_of(each, module))[1]["accepted"] == 3
    with Killer(system, 5) as killer:
        addresses = [ask(system, each, "restrict") for each in installs["lift"]]
        for action, ids in installs.items():
            more = {"rectify": {"platform": {"php": "8.3.1"}}} if action == "rectify" else {}
            addresses += [ask(system, each, action, **more) for each in ids]
        deadline = time.monotonic() + 40  # the rest without kills: a slow machine gets nothing done between them
        while time.monotonic() < deadline and (
            killer.kills < 3 or any(curl(address)["state"] == "pending" for address in addresses)
        ):
            time.sleep(0.2)
    assert killer.kills >= 3
    for address in addresses:
        done(address)
    wait_for(lambda: system.answers(system.dashboard), "the dashboard", 60)
    assert figures(system, module) == (8, 24, 8)  # 12 installs, less 2 erased, less 2 restricted
    assert by_value(system, module, "php") == {"8.2.12": 6, "8.3.1": 2}
    assert len(request(system, installs["restrict"][0], "access")["sealed"]) == 6
