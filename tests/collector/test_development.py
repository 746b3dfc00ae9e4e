"""Beacons under a development key: answered as all are, kept apart without identifiers, and in no plane."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from collector.spool import Spool
from collector.spool.development import MOST
from core.credentials import Credentials
from core.home import Home
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon
from tests.collector.test_loader import FakeEngine, loader
from warehouse.engine import EngineError

CATALOG = """
mode = "declared"
[[module]]
name = "invoice_pro"
purpose = "p"
owner = "o"
[[feature]]
name = "bulk_email"
purpose = "p"
owner = "o"
"""


def kept(home: Path) -> list[dict[str, Any]]:
    """What waits in the spool, oldest first."""
    spool = Spool(home / "spool.sqlite")
    try:
        assert spool.stats().beacons == 0
        assert spool.rejections() == {}
        return [json.loads(row) for _, row in spool.development()]
    finally:
        spool.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def development_key(home: Path, *modules: str) -> str:
    return Credentials(Home(home).credentials).add_key(modules, development=True)


def test_a_beacon_is_answered_and_kept_without_identifiers(home: Path) -> None:
    """No plane gets it. What says which server sent it is not kept, nor a value that only the license plane stores."""
    sent = beacon({"server.public_ip": "198.51.100.20", "license.source": "my-shop", "features": {"bulk_email": 3}})
    with Collector(home, PHAROS_INGEST_KEY=KEY) as collector:
        key = development_key(home)
        answer = collector.post(sent, key=key)
        assert (answer.status, answer.json["accepted"], answer.json["duplicates"]) == (202, 1, 0)
        assert answer.json["next_in"] == 60  # who tries a module does not wait for a day
        assert collector.post(sent, key=key).json["accepted"] == 1  # no id is remembered
        metrics = collector.request("GET", "/metrics").body.decode()
    assert 'pharos_beacons_total{outcome="accepted",reason=""} 0.0' in metrics
    row, again = kept(home)
    assert row.pop("id") != again["id"]
    stored = json.loads(row["stored"])
    assert (row["outcome"], row["reason"], row["field"], row["clock_skewed"]) == ("accepted", "", "", False)
    assert row["license_only"] == ["license.source", "license.key_hash", "server.public_ip"]
    assert (stored["module"], stored["php"], stored["features"]) == ("invoice_pro", "8.2.12", {"bulk_email": 3})
    assert not stored.keys() & {"install", "beacon", "received"}
    text = json.dumps(row)
    secrets = (sent["install_id"], sent["beacon_id"], sent["license"]["key_hash"], "198.51.100.20", "127.0.0.1", key)
    assert not [secret for secret in (*secrets, "my-shop") if secret in text]


def test_check_shows_what_is_kept_of_a_beacon(home: Path) -> None:
    """No plane has a row of it. Of an undeclared module nothing is kept."""
    sent = beacon({"features": {"bulk_email": 3}})
    (home / "catalog.toml").parent.mkdir(parents=True, exist_ok=True)
    (home / "catalog.toml").write_text(CATALOG)
    with Collector(home, PHAROS_INGEST_KEY=KEY) as collector:
        key = development_key(home)
        answer = collector.post([sent, beacon({"module.name": "other"})], path="/v1/beacons/check", key=key)
        assert kept(home) == []
        collector.post(sent, key=key)
    checked, undeclared = answer.json["beacons"]
    assert (checked["usage"], checked["license"]) == (undeclared["usage"], undeclared["license"]) == (None, None)
    (row,) = kept(home)
    assert checked["development"] == {"stored": json.loads(row["stored"]), "license_only": row["license_only"]}
    assert undeclared["development"] is None
    assert answer.json["address"] == "127.0.0.1"


def test_what_is_rejected_is_kept_with_its_reason_and_field(home: Path) -> None:
    """Of a batch, alone, unreadable, and of a module that the key is not for. Made-up names are not kept."""
    with Collector(home, PHAROS_INGEST_KEY=KEY) as collector:
        key = development_key(home, "invoice_pro")
        good, bad = beacon(), beacon({"module.name": "Invoice Pro"})
        assert collector.post([good, bad], key=key).json["rejected"][0]["reason"] == "bad_format"
        assert collector.post(beacon({"platform.my_email": "x"}), key=key).why == (
            422, "unknown_field", "platform.my_email",
        )  # fmt: skip
        assert collector.post(b"{", key=key).status == 400
        assert collector.post(beacon({"module.name": "other"}), key=key).status == 403
        assert collector.post(b"{", key="nobody's").status == 401
    rows = kept_with_rejections(home)
    assert [(row["outcome"], row["reason"], row["field"]) for row in rows] == [
        ("accepted", "", ""),
        ("rejected", "bad_format", "module.name"),
        ("rejected", "unknown_field", "platform"),
        ("rejected", "malformed_json", ""),
        ("rejected", "module_not_allowed", "module.name"),
    ]
    assert "my_email" not in json.dumps(rows)


def kept_with_rejections(home: Path) -> list[dict[str, Any]]:
    """As `kept`; the unknown key is the only rejection that is counted."""
    spool = Spool(home / "spool.sqlite")
    try:
        assert [reason for _, reason, _ in spool.rejections()] == ["unauthorized"]
        return [json.loads(row) for _, row in spool.development()]
    finally:
        spool.close()


def test_what_the_catalog_removes_is_counted(home: Path) -> None:
    """An undeclared module is not stored, and of undeclared features there is a number."""
    home.mkdir(mode=0o700)
    (home / "catalog.toml").write_text(CATALOG)
    with Collector(home, PHAROS_INGEST_KEY=KEY) as collector:
        key = development_key(home)
        features = {"bulk_email": 1, "secret.thing": 2}
        assert collector.post(beacon({"features": features}), key=key).json["accepted"] == 1
        assert collector.post(beacon({"module.name": "unheard_of"}), key=key).json["undeclared"] == 1
    first, second = kept(home)
    assert (first["outcome"], first["undeclared"]["feature"]) == ("accepted", 1)
    assert json.loads(first["stored"])["features"] == {"bulk_email": 1}
    assert (second["outcome"], second["undeclared"], second["stored"]) == ("undeclared", {"module": 1}, "{}")
    assert "secret.thing" not in json.dumps(first)


def test_an_owner_s_objection_holds(home: Path) -> None:
    """The answer is the usual one, and nothing is kept."""
    with Collector(home, PHAROS_INGEST_KEY=KEY) as collector:
        key, sent = development_key(home), beacon()
        asked = {"install_id": sent["install_id"], "action": "object"}
        assert collector.post(asked, path="/v1/rights", key=None).status == 202
        answer = collector.post({**sent, "beacon_id": str(uuid.uuid4())}, key=key).json
        assert (answer["accepted"], answer["objected"]) == (0, 1)
    assert kept(home) == []


def test_the_rate_limit_holds(home: Path) -> None:
    """Beacons over it are answered with a 429 and not kept."""
    with Collector(home, PHAROS_INGEST_KEY=KEY, PHAROS_RATE_LIMIT="3") as collector:
        key = development_key(home)
        assert collector.post([beacon() for _ in range(4)], key=key).why[:2] == (429, "rate_limited")
        assert collector.post([beacon() for _ in range(3)], key=key).json["accepted"] == 3
    assert len(kept(home)) == 3


def test_the_loader_moves_them_and_tries_again(tmp_path: Path) -> None:
    """A row that was inserted before a crash is inserted again with its id. A failure does not end the step."""
    engine, spool = FakeEngine(), Spool(tmp_path / "spool.sqlite")
    row = json.dumps({"id": str(uuid.uuid4()), "key": "1a2b"}).encode()
    spool.store_development([row])
    moving = loader(spool, engine)
    failures = [EngineError("connection refused")]
    insert = engine.insert

    def fails_once(table: str, lines: Any, token: str) -> None:
        if table == "development_beacons" and failures:
            raise failures.pop()
        insert(table, lines, token)

    engine.insert = fails_once  # type: ignore[method-assign]
    moving.step()
    assert [each for _, each in spool.development()] == [row]
    moving._development_at = float("-inf")
    moving.step()
    assert spool.development() == []
    assert [each for each in engine.told if "key" in each] == [json.loads(row)]
    spool.close()


def test_the_spool_keeps_the_newest(tmp_path: Path) -> None:
    """A key that posts without end does not fill the disk."""
    spool = Spool(tmp_path / "spool.sqlite")
    rows = [str(number).encode() for number in range(MOST + 5)]
    spool.store_development(rows[:7])
    spool.store_development(rows[7:])
    assert [row for _, row in spool.development()] == rows[5:]
    spool.close()
