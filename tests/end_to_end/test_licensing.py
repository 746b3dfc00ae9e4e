"""Licensing on a running system: from beacons and the registry to flags, disputes and erasure."""

import hashlib
import json
import os
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.credentials import NEW_SECONDS
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, System, fetch, running, wait_for

VICTIM = hashlib.sha256(b"the victim's key").hexdigest()
FLAGS, INSTALLS, KEYS = (f"/api/v1/licensing/{name}" for name in ("flags", "installs", "keys"))


@pytest.fixture(scope="module", params=ENGINES)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("licensing") / "home", request.param) as system:
        yield system


def history(status: str, days: int, key: str | None = None, id: str = "", module: str = "invoice_pro") -> list[Any]:
    """Return a beacon of each of the last days, of one install."""
    id = id or str(uuid.uuid4())
    license = {"status": status, "source": "whmcs-addon-modules", **({"key_hash": key} if key else {})}
    return [
        beacon(
            install_id=id,
            sent_at=(datetime.now(UTC) - timedelta(days=ago)).isoformat(),
            license=license,
            module={"name": module, "version": "3.2.1"},
        )
        for ago in range(days, -1, -1)
    ]


def put(system: System, secret: str, rows: Any) -> tuple[int, Any]:
    """Send rows of the registry."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    body = json.dumps(rows).encode()
    return fetch(urllib.request.Request(f"{system.collector}/v1/licenses", body, headers, method="PUT"))


def registry_key(system: System, *more: str) -> str:
    """Return a new registry key. All workers know it: for unknown keys, each reads the file so often at most."""
    secret = system.run("keys", "new", "--registry", *more).stdout.decode().strip()
    time.sleep(NEW_SECONDS)
    return secret


def flags(system: System, **arguments: str) -> list[dict[str, Any]]:
    status, answer = system.read(FLAGS, role="licensing", **arguments)
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["flags"]
    return found


def exported(system: System) -> list[str]:
    return system.run("licenses", "export").stdout.decode().splitlines()


def test_from_a_self_report_to_a_dispute_to_erasure(system: System) -> None:
    """A flag appears, is paused by the owner's statement, rewrites nothing, and leaves no byte after erasure."""
    sent = history("unlicensed", 5)
    assert system.post(sent)[0] == 202
    wait_for(lambda: flags(system, flag="unlicensed"), "the flag", 30)
    (flag,) = flags(system, flag="unlicensed")
    assert (flag["severity"], flag["grade"], flag["state"]) == ("warning", "claimed", "open")
    assert flag["since"] == sent[0]["sent_at"][:10]
    assert flag["pieces"]
    assert flag["innocent"]
    assert "203.0.113" not in json.dumps(flag)
    (row,) = system.read(INSTALLS, role="licensing", flag="reported_unlicensed")[1]["rows"]
    assert (row["id"], row["review"], [each["rule"] for each in row["flags"]]) == (flag["id"], None, ["unlicensed"])

    rectify = {"install_id": sent[0]["install_id"], "action": "rectify", "rectify": {"license": {"status": "licensed"}}}
    assert system.post(rectify, "/v1/rights")[0] == 202
    wait_for(lambda: flags(system, state="disputed"), "the dispute", 60)
    (row,) = system.read(INSTALLS, role="licensing", review="disputed")[1]["rows"]
    assert (row["status"], row["review"], row["flags"][0]["state"]) == ("unlicensed", "disputed", "disputed")
    told = system.read(FLAGS, role="licensing", id=flag["id"])[1]
    assert [each["event"] for each in told["history"]] == ["paused", "raised"]
    assert told["history"][0]["why"]

    status, answer = system.post({"install_id": sent[0]["install_id"], "action": "access"}, "/v1/rights")
    assert status == 202
    held = f"{system.collector}{answer['status']}"
    wait_for(lambda: fetch(held)[1]["state"] == "done", "the access", 120)
    rows = fetch(held)[1]["result"]["license"]["license_flags"]
    assert [each["event"] for each in sorted(rows, key=lambda each: each["revision"])] == ["raised", "paused"]

    status, answer = system.post({"install_id": sent[0]["install_id"], "action": "erase"}, "/v1/rights")
    assert status == 202
    done = f"{system.collector}{answer['status']}"
    wait_for(lambda: fetch(done)[1]["state"] == "done", "the erasure", 180)
    assert flags(system, id=flag["id"]) == []
    assert system.read(FLAGS, role="licensing", id=flag["id"])[1]["history"] == []
    if system.settings.clickhouse_url == "":
        # Bytes are little-endian in the files.
        needle = bytes.fromhex(flag["id"])[::-1]
        assert not on_disk(system.home, "license_flags", needle)


def on_disk(home: Path, table: str, needle: bytes) -> bool:
    """Return whether an uncompressed file of a table holds these bytes."""
    found = subprocess.run(
        ["grep", "-rlaFP", "".join(f"\\x{byte:02x}" for byte in needle), str(home / "clickhouse")],
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    return any(table.encode() in line for line in found.stdout.splitlines())


def test_the_registry_is_written_by_its_key_alone(system: System) -> None:
    """A registry key may write the registry and nothing else; an ingest key may not. A repetition changes nothing."""
    row = {"key_hash": VICTIM, "module": "invoice_pro", "state": "active", "max_installs": 1}
    secret = registry_key(system)
    assert put(system, "made-up", [row])[0] == 401
    assert put(system, "ingest-key-of-the-tests", [row])[0] == 403
    assert system.post(beacon(), Authorization=f"Bearer {secret}")[0] == 403
    assert put(system, secret, [row, {**row, "state": "dead"}])[1]["rejected"][0]["path"] == "state"
    for wrong in ({**row, "key": "plain"}, {**row, "max_installs": 0}, {**row, "valid_until": "soon"}, "text"):
        status, answer = put(system, secret, wrong)
        assert (status, answer["reason"]) in {
            (422, reason) for reason in ("unknown_field", "out_of_range", "bad_format", "wrong_type")
        }
        assert "plain" not in json.dumps(answer)
    assert put(system, secret, [row] * 501)[1]["reason"] == "too_many_items"
    bound = registry_key(system, "--module", "ticket_ai")
    assert put(system, bound, row)[1]["reason"] == "module_not_allowed"
    assert put(system, secret, row) == (202, {"accepted": 1, "rejected": []})
    wait_for(lambda: any(line.startswith(f"{VICTIM},invoice_pro,active,1,1,") for line in exported(system)), "the row")
    csv_file = system.home.parent / "licenses.csv"
    csv_file.write_text("\n".join(exported(system)) + "\n")
    before = exported(system)
    done = system.run("licenses", "import", str(csv_file))
    assert done.stdout.decode().splitlines()[-1] == f"imported={len(before) - 1} rejected=0"
    assert exported(system) == before


def test_twenty_invented_installs_do_not_frame_the_owner_of_a_key(system: System) -> None:
    """One POST with the hash of a victim's key raises no flag on the victim, nor does it later the same day."""
    secret = registry_key(system)
    row = {"key_hash": VICTIM, "module": "invoice_pro", "state": "active", "max_installs": 1}
    assert put(system, secret, row)[0] == 202
    victim = history("licensed", 6, VICTIM)
    assert system.post(victim)[0] == 202
    invented = [
        beacon(license={"status": "licensed", "source": "whmcs-addon-modules", "key_hash": VICTIM}) for _ in range(20)
    ]
    assert system.post(invented)[0] == 202
    # A guilty install that comes later is flagged: by then the others have been judged.
    assert system.post(history("unlicensed", 4, module="ticket_ai"))[0] == 202
    wait_for(lambda: flags(system, module="ticket_ai"), "the later flag", 30)
    key = asked_key(system, "licensing", VICTIM)[1]["key"]
    wait_for(lambda: len(system.read(INSTALLS, role="licensing", key=key)[1]["rows"]) == 21, "all installs")
    assert flags(system, key=key) == []
    assert all(not each["flags"] for each in system.read(INSTALLS, role="licensing", key=key)[1]["rows"])


def test_the_registry_decides_about_keys(system: System) -> None:
    """A made-up key, the key of another module and a revoked key are flagged; a good key is not."""
    secret = registry_key(system)
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("good", "other", "revoked", "made up")}
    assert put(
        system,
        secret,
        [
            {"key_hash": keys["good"], "module": "domain_tools", "state": "active"},
            {"key_hash": keys["other"], "module": "site_builder", "state": "active"},
            {"key_hash": keys["revoked"], "module": "domain_tools", "state": "revoked"},
        ],
    )[0] == 202  # fmt: skip
    for name in keys:
        assert system.post(history("licensed", 4, keys[name], module="domain_tools"))[0] == 202
    expected = {"wrong_module": "other", "dead_key": "revoked", "unknown_key": "made up"}
    wait_for(lambda: len(flags(system, module="domain_tools")) == len(expected), "the flags", 30)
    for rule, name in expected.items():
        (flag,) = flags(system, module="domain_tools", flag=rule)
        # One post states all these days. A single report of today is enough for a key that has always been dead.
        assert flag["grade"] == ("registry" if rule == "dead_key" else "claimed")
        (row,) = system.read(INSTALLS, role="licensing", flag=rule, module="domain_tools")[1]["rows"]
        assert row["key"] == asked_key(system, "admin", keys[name])[1]["key"]
    # The vendor revokes the good key: dead since today, so no flag; then takes the revocation of the other back.
    assert put(system, secret, {"key_hash": keys["revoked"], "module": "domain_tools", "state": "active"})[0] == 202
    wait_for(lambda: not flags(system, module="domain_tools", flag="dead_key"), "the flag to be cleared", 30)


def asked_key(system: System, role: str, key_hash: str) -> tuple[int, Any]:
    """Ask for the pseudonym of a key."""
    system.read(FLAGS, role=role)
    headers = {"Authorization": f"Bearer {system._tokens[role]}", "Content-Type": "application/json"}
    return fetch(urllib.request.Request(system.dashboard + KEYS, json.dumps({"key_hash": key_hash}).encode(), headers))


def test_product_sees_none_of_it(system: System) -> None:
    """Product gets 403 on every path, and each look of licensing is in the access log."""
    for path in (FLAGS, INSTALLS):
        assert system.read(path, role="product")[0] == 403
    assert asked_key(system, "product", VICTIM)[0] == 403
    assert asked_key(system, "licensing", VICTIM)[0] == 200
    assert asked_key(system, "licensing", "short")[0] == 422
    assert b"api keys" in system.run("access", "list").stdout
    assert VICTIM.encode() not in system.run("access", "list").stdout


def test_pages_of_flags(system: System) -> None:
    """A cursor leads through all flags, each once; an unknown parameter or value is refused."""
    assert system.post([one for _ in range(5) for one in history("invalid", 4, module="backup_suite")])[0] == 202
    wait_for(lambda: len(flags(system, module="backup_suite")) == 5, "the flags", 30)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = system.read(FLAGS, role="licensing", module="backup_suite", limit="2", cursor=cursor)[1]
        seen += [flag["id"] for flag in answer["flags"]]
        cursor = answer.get("next_cursor")
    assert len(seen) == len(set(seen)) == 5
    for wrong in ({"flag": "nope"}, {"grade": "nope"}, {"cursor": "nope"}, {"made_up": "1"}, {"key": "nope"}):
        assert system.read(FLAGS, role="licensing", **wrong)[0] == 422
