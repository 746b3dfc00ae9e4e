"""`POST /v1/beacons` and `/check` of a running collector: what is answered, and what is then on disk."""

import json
import re
import sqlite3
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.planes import legible
from collector.validate import MAX_BATCH
from core.credentials import NEW_SECONDS
from tests.collector import abuse
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon
from tests.pharos_cli.command import pharos


def spooled(collector: Collector) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of both planes that lie in the spool, oldest first."""
    with sqlite3.connect(collector.home / "spool.sqlite") as db:
        found = db.execute("SELECT usage, license FROM beacons ORDER BY seq").fetchall()
    db.close()
    return [(json.loads(usage), json.loads(license)) for usage, license in found]


def counts(answer: Any) -> tuple[int, int, int]:
    """Accepted, duplicates, rejected."""
    return answer["accepted"], answer["duplicates"], len(answer["rejected"])


@pytest.mark.parametrize("case", abuse.CASES, ids=abuse.NAMES)
def test_a_bad_request_is_answered_as_it_should(live: Collector, case: abuse.Case) -> None:
    """Each kind of bad request gets its status, reason and path, and never a 500 or a timeout."""
    abuse.hold(live, case)


def test_the_cases_are_many_and_unlike() -> None:
    """The case table has enough cases with unique names, and few differ behind a proxy."""
    assert len(set(abuse.NAMES)) == len(abuse.CASES) >= 250
    assert len([case for case in abuse.CASES if "nginx" in case]) <= 12


@pytest.mark.parametrize("kind", [abuse.wrong_types, abuse.unknown_fields, abuse.controls])
def test_no_field_takes_what_is_bad_for_it(live: Collector, kind: abuse.Kind) -> None:
    """Every field rejects wrong types, every object unknown fields, and every text control characters."""
    abuse.hold_each(live, kind)


@pytest.mark.parametrize("path", ["/v1/beacons", "/v1/beacons/check"])
def test_the_allowed_method_is_told(live: Collector, path: str) -> None:
    """405 names the methods that there are."""
    assert "POST" in live.request("GET", path).headers["allow"]


def test_a_beacon_is_accepted_and_on_disk(live: Collector) -> None:
    """A 202 has the number of accepted beacons and `next_in`, and the beacon is in the spool."""
    before = len(spooled(live))
    answer = live.post(beacon())
    assert answer.status == 202
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"accepted", "duplicates", "rejected", "next_in"}
    assert counts(answer.json) == (1, 0, 0)
    assert 12 * 3600 <= answer.json["next_in"] <= 36 * 3600
    assert len(spooled(live)) == before + 1


def test_a_beacon_again_is_a_duplicate(live: Collector) -> None:
    """A beacon with a known `beacon_id` gets a 202 and changes nothing, whatever it contains."""
    sent = beacon()
    assert counts(live.post(sent).json) == (1, 0, 0)
    before = spooled(live)
    answer = live.post({**sent, "beacon_id": sent["beacon_id"].upper(), "features": {"bulk_email": 9}})
    assert (answer.status, counts(answer.json)) == (202, (0, 1, 0))
    assert spooled(live) == before


def test_a_batch_is_counted(live: Collector) -> None:
    """A batch counts accepted, duplicate and rejected beacons, each rejection with index, reason and path."""
    one, two = beacon(), beacon()
    answer = live.post([one, beacon({"schema": 2}), two, one, 7, beacon({"email": "jane@example.com"})])
    assert answer.status == 202
    assert counts(answer.json) == (2, 1, 3)
    assert [(r["index"], r["reason"], r["path"]) for r in answer.json["rejected"]] == [
        (1, "out_of_range", "schema"),
        (4, "wrong_type", ""),
        (5, "unknown_field", "email"),
    ]
    assert b"jane" not in answer.body


def test_a_batch_of_nothing_acceptable_is_refused_with_each_reason(live: Collector) -> None:
    """A batch without a valid beacon gets a 422 that lists each rejection. Nothing is stored."""
    before = len(spooled(live))
    answer = live.post([beacon(drop=["sent_at"]), beacon({"reason": "because"}), []])
    assert answer.why == (422, "missing_field", "sent_at")
    assert [(r["index"], r["reason"], r["path"]) for r in answer.json["rejected"]] == [
        (0, "missing_field", "sent_at"),
        (1, "bad_format", "reason"),
        (2, "wrong_type", ""),
    ]
    assert len(spooled(live)) == before


def test_a_batch_has_at_most_500(live: Collector) -> None:
    """A batch of 500 is accepted, a batch of 501 is rejected as a whole."""
    slim = [{**beacon(drop=["features", "server", "platform"])} for _ in range(MAX_BATCH + 1)]
    answer = live.post(slim)
    assert answer.why == (422, "too_many_items", "")
    answer = live.post(slim[:MAX_BATCH])
    assert (answer.status, counts(answer.json)) == (202, (500, 0, 0))
    assert counts(live.post(slim[:MAX_BATCH]).json) == (0, 500, 0)


def test_a_key_for_one_module_takes_that_module_alone(live: Collector) -> None:
    """A module's key accepts no other module: alone this is a 403, in a batch a rejection."""
    key = pharos(live.home, "keys", "new", "--module", "invoice_pro").stdout.strip()
    time.sleep(NEW_SECONDS)  # all workers know it
    other = beacon({"module.name": "other_module"})
    assert counts(live.post(beacon(), key=key).json) == (1, 0, 0)
    assert live.post(other, key=key).why == (403, "module_not_allowed", "module.name")
    assert live.post([other, other], key=key).why == (403, "module_not_allowed", "module.name")
    assert live.post([other, 7], key=key).why == (422, "wrong_type", "")
    mixed = live.post([beacon(), other], key=key)
    assert (mixed.status, counts(mixed.json)) == (202, (1, 0, 1))
    assert mixed.json["rejected"][0]["reason"] == "module_not_allowed"
    assert live.post(other).status == 202


def test_check_shows_exactly_what_is_then_stored(live: Collector) -> None:
    """`/check` stores nothing and returns the same rows that the post then stores."""
    sent = [beacon(), beacon({"schema": 3}), beacon({"sent_at": _ago(days=6)}, drop=["platform", "license.key_hash"])]
    before = spooled(live)
    answer = live.post(sent, path="/v1/beacons/check")
    assert answer.status == 200
    assert [(r["index"], r["reason"]) for r in answer.json["rejected"]] == [(1, "out_of_range")]
    assert [each["clock_skewed"] for each in answer.json["beacons"]] == [False, False]
    assert spooled(live) == before
    assert counts(live.post(sent).json) == (2, 0, 1)
    stored = [tuple(map(legible, rows)) for rows in spooled(live)[len(before) :]]
    assert stored == [(each["usage"], each["license"]) for each in answer.json["beacons"]]


def test_check_has_no_number_that_a_client_reads_as_another(live: Collector) -> None:
    """Keyed hashes are 16 hexadecimal digits: a double holds 53 bits. Without a license key there is none."""
    (checked,) = live.post(beacon(drop=["license.key_hash"]), path="/v1/beacons/check").json["beacons"]
    hashes = [checked["usage"][name] for name in ("install", "beacon")]
    hashes += [checked["license"][name] for name in ("install", "beacon", "source_install")]
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in hashes), hashes
    assert checked["license"]["key"] is None


def test_check_refuses_what_post_refuses(live: Collector) -> None:
    """`/check` rejects a body with the same problem document as the post."""
    for sent in (7, [], [7, {}], beacon({"schema": 2}), b"NaN"):
        assert live.post(sent, path="/v1/beacons/check").why == live.post(sent).why


def test_check_says_that_a_clock_is_wrong(live: Collector) -> None:
    """An implausible date is shown as such, with the day of receipt in its place."""
    answer = live.post(beacon({"sent_at": _ago(days=400)}), path="/v1/beacons/check").json["beacons"][0]
    assert answer["clock_skewed"] is True
    assert answer["usage"]["day"] >= _ago(days=1)[:10]


def test_what_is_stored_names_nobody(live: Collector) -> None:
    """The home contains no id of the beacon, no license key hash and no ingest key."""
    sent = beacon({"license.key_hash": "c0ffee" * 10 + "abcd"})
    assert live.post(sent).status == 202
    secrets = [sent["install_id"], sent["beacon_id"], sent["license"]["key_hash"], KEY]
    for path in [*live.home.rglob("*"), live.log]:
        if path.is_file():
            stored = path.read_bytes()
            shown = f"ingest key  {KEY}\n".encode()  # the first start shows it, once
            for secret in secrets:
                assert secret.encode() not in stored.replace(shown, b""), path
                if "-" in secret and secret != KEY:
                    assert uuid.UUID(secret).bytes not in stored, path


def _ago(**how: int) -> str:
    return (datetime.now(UTC) - timedelta(**how)).isoformat(timespec="seconds")
