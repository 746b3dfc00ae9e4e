"""The catalog filter: what it removes from a beacon, from the spool, and from responses and metrics."""

import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from collector.catalog_filter import UNDECLARED, declared
from core.catalog import Catalog, Entry, Kind
from tests.collector.live import KEY, Collector
from tests.collector.sample import Beacon, beacon, changed
from tests.end_to_end.system import wait_for

TODAY = date(2026, 11, 22)
SENT = beacon()
OLD, NEW = date(2026, 11, 21), date(2026, 11, 23)


def catalog(mode: str, **names: str) -> Catalog:
    """Build a catalog from names separated by spaces. `name!` has expired, `name?` expires tomorrow."""
    entries: dict[tuple[Kind, str], Entry] = {}
    kinds: tuple[Kind, ...] = ("module", "feature", "source")
    for kind in kinds:
        for word in names.get(kind, "").split():
            expires = OLD if word.endswith("!") else NEW if word.endswith("?") else None
            name = word.rstrip("!?")
            entries[kind, name] = Entry(kind, name, "why", "who", expires=expires)
    return Catalog(mode, entries)


ALL = {"module": "invoice_pro", "feature": "invoice.pdf_export bulk_email", "source": "whmcs-addon-modules"}


@pytest.mark.parametrize(
    ("mode", "names", "dropped", "changes"),
    [
        ("open", {}, {}, {}),
        ("open", {"feature": "another"}, {}, {}),
        ("declared", ALL, {}, {}),
        ("declared", {**ALL, "feature": "invoice.pdf_export? bulk_email"}, {}, {}),
        ("declared", {**ALL, "feature": "bulk_email"}, {"feature": 1}, {"features": {"bulk_email": 1}}),
        ("declared", {**ALL, "feature": ""}, {"feature": 2}, {"features": {}}),
        ("open", {"feature": "bulk_email!"}, {"feature": 1}, {"features": {"invoice.pdf_export": 12}}),
        ("declared", {**ALL, "source": "shop"}, {"source": 1}, {"license.source": UNDECLARED}),
        ("open", {"source": "whmcs-addon-modules!"}, {"source": 1}, {"license.source": UNDECLARED}),
        (
            "declared",
            {"module": "invoice_pro"},
            {"feature": 2, "source": 1},
            {"features": {}, "license.source": UNDECLARED},
        ),
        ("declared", {**ALL, "module": "another"}, {"module": 1}, {}),
        ("open", {"module": "invoice_pro!"}, {"module": 1}, {}),
        ("declared", {}, {"module": 1}, {}),
    ],
)
def test_what_is_left_of_a_beacon(
    mode: str, names: dict[str, str], dropped: dict[str, int], changes: dict[str, Any]
) -> None:
    """Undeclared features are removed and an undeclared source loses its name. Nothing else changes."""
    before = changed(SENT)
    left, counted = declared(SENT, catalog(mode, **names), TODAY)
    assert counted == dropped
    assert left == changed(SENT, changes)
    assert before == SENT


def test_a_beacon_without_features_stays_without() -> None:
    """A beacon at consent level license has no features before and after."""
    bare = changed(SENT, drop=["features"])
    assert declared(bare, catalog("declared", **ALL), TODAY) == (bare, {})


CATALOG = """
mode = "declared"
[[module]]
name = "invoice_pro"
purpose = "why"
owner = "who"
[[feature]]
name = "bulk_email"
purpose = "why"
owner = "who"
[[source]]
name = "shop"
purpose = "why"
owner = "who"
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with a catalog in its home."""
    home = tmp_path_factory.mktemp("declared") / "home"
    home.mkdir()
    (home / "catalog.toml").write_text(CATALOG)
    with Collector(home, PHAROS_INGEST_KEY=KEY) as collector:
        yield collector


def stored(collector: Collector) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of both planes in the spool."""
    with sqlite3.connect(collector.home / "spool.sqlite") as db:
        found = [(json.loads(usage), json.loads(license)) for usage, license in db.execute(
            "SELECT usage, license FROM beacons ORDER BY seq"
        )]  # fmt: skip
    db.close()
    return found


def counts(collector: Collector) -> dict[str, float]:
    """Return the collector's counters of what the catalog kept out."""
    text = collector.request("GET", "/metrics").body.decode()
    found = dict(re.findall(r'^pharos_undeclared_total\{kind="(\w+)"\} (\S+)$', text, re.MULTILINE))
    (beacons,) = re.findall(r'^pharos_beacons_total\{outcome="undeclared",reason=""\} (\S+)$', text, re.MULTILINE) or [
        0
    ]
    return {name: float(value) for name, value in {**found, "beacons": beacons}.items()}


def of_others(**more: Any) -> Beacon:
    """Return a beacon of an undeclared module."""
    return beacon({"module.name": "jane_doe_private", **more})


def test_only_what_was_declared_is_stored(live: Collector) -> None:
    """Undeclared data is in no row and no file. It is counted by kind, and no metric or log line names it."""
    before, rows = counts(live), len(stored(live))
    sent = beacon(
        {"features": {"bulk_email": 3, "jane_doe_clicked": 1, "zz.top": 2}, "license.source": "jane-doe-shop"}
    )
    answer = live.post(sent)
    assert (answer.status, answer.json["accepted"], "undeclared" in answer.json) == (202, 1, False)
    assert live.post(sent).json["duplicates"] == 1
    ((usage, license),) = stored(live)[rows:]
    assert usage["features"] == {"bulk_email": 3}
    assert license["source"] == UNDECLARED
    after = counts(live)
    assert after["feature"] - before.get("feature", 0) == 2
    assert after["source"] - before.get("source", 0) == 1
    assert b"jane" not in live.request("GET", "/metrics").body
    for file in [*live.home.glob("spool*"), live.log]:
        assert b"jane" not in file.read_bytes(), file


def test_a_beacon_of_a_module_that_is_not_declared_is_answered_and_not_stored(live: Collector) -> None:
    """An undeclared module gets a 202 with the number of undeclared beacons, so that its installs do not retry."""
    before, rows = counts(live), len(stored(live))
    alone = live.post(of_others())
    assert alone.status == 202
    assert (alone.json["accepted"], alone.json["duplicates"], alone.json["undeclared"]) == (0, 0, 1)
    assert alone.json["rejected"] == []
    mixed = live.post([of_others(), beacon({"license.source": "shop"}), of_others(reason="lost"), of_others()]).json
    assert (mixed["accepted"], mixed["duplicates"], mixed["undeclared"], len(mixed["rejected"])) == (1, 0, 2, 1)
    after = counts(live)
    assert after["module"] - before.get("module", 0) == 3
    assert after["beacons"] - before["beacons"] == 3
    assert len(stored(live)) == rows + 1


def test_an_objection_comes_first(live: Collector) -> None:
    """For an install that objects only the objection is counted."""
    of = of_others()
    asked = live.post({"install_id": of["install_id"], "action": "object"}, "/v1/rights", key=None)
    assert asked.status == 202
    answer = live.post(of).json
    assert (answer["accepted"], answer["duplicates"], answer["objected"]) == (0, 0, 1)
    assert "undeclared" not in answer


def test_check_shows_what_the_catalog_lets_in(live: Collector) -> None:
    """`/check` shows exactly what would be stored, and how much would not."""
    sent = beacon({"features": {"bulk_email": 3, "jane_doe_clicked": 1}, "license.source": "shop"})
    answer = live.post([sent, of_others(), changed(sent, drop=["features"])], "/v1/beacons/check")
    first, second, third = answer.json["beacons"]
    assert (first["usage"]["features"], first["license"]["source"]) == ({"bulk_email": 3}, "shop")
    assert first["undeclared"] == {"feature": 1}
    assert (second["usage"], second["license"], second["undeclared"]) == (None, None, {"module": 1})
    assert "undeclared" not in third
    assert b"jane" not in answer.body


def test_the_catalog_may_change_while_beacons_come(tmp_path: Path) -> None:
    """A changed catalog is used soon. While it is broken or missing, the last valid one applies, which the log says."""
    home = tmp_path / "home"
    home.mkdir()
    file = home / "catalog.toml"
    file.write_text(CATALOG)
    # One worker: another one may miss a catalog that is soon replaced, if no request reaches it meanwhile.
    with Collector(home, PHAROS_INGEST_KEY=KEY, PHAROS_COLLECTOR_WORKERS="1") as live:

        def takes(module: str) -> bool:
            answer = live.post(beacon({"module.name": module, "license.source": "shop"}))
            assert answer.status == 202
            return bool(answer.json["accepted"])

        def refusals() -> int:
            takes("billing")
            return live.log.read_text().count("stays in force")

        assert (takes("billing"), takes("invoice_pro")) == (False, True)
        file.write_text(CATALOG.replace("invoice_pro", "billing"))
        wait_for(lambda: takes("billing"), "the changed catalog")
        file.write_text(CATALOG.replace('"declared"', '"no such mode"'))
        wait_for(lambda: refusals() == 1, "the broken catalog to be logged")
        assert (takes("billing"), takes("invoice_pro")) == (True, False)
        file.unlink()
        wait_for(lambda: refusals() == 2, "the missing catalog to be logged")
        assert (takes("billing"), takes("invoice_pro")) == (True, False)
        file.write_text(CATALOG)
        wait_for(lambda: takes("invoice_pro"), "the valid catalog")
        assert not takes("billing")


def test_a_correction_brings_in_no_source_that_is_not_declared(live: Collector) -> None:
    """A correction stores a declared source by name, and an undeclared one without a name."""

    def asked(source: str) -> bytes:
        body = {"install_id": SENT["install_id"], "action": "rectify", "rectify": {"license": {"source": source}}}
        assert live.post(body, "/v1/rights", key=None).status == 202
        with sqlite3.connect(live.home / "spool.sqlite") as db:
            (work,) = db.execute("SELECT work FROM requests ORDER BY rowid DESC LIMIT 1").fetchone()
        db.close()
        return bytes(work)

    assert b"jane-doe" not in asked("jane-doe-shop")
    assert b'"shop"' in asked("shop")


def test_a_worker_that_is_started_anew_over_a_broken_catalog_opens_nothing(tmp_path: Path) -> None:
    """A restarted worker uses the catalog that its collector started with."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalog.toml").write_text(CATALOG)
    with Collector(home, PHAROS_INGEST_KEY=KEY, PHAROS_COLLECTOR_WORKERS="1") as collector:
        (home / "catalog.toml").write_text("mode = ")
        (worker,) = collector.workers()
        os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while collector.workers() in ([], [worker]) and time.monotonic() < deadline:
            time.sleep(0.1)
        answer = collector.post([beacon({"license.source": "shop"}), of_others()])
    assert (answer.json["accepted"], answer.json["undeclared"]) == (1, 1)
