"""The way of a beacon through the system: posted, spooled, loaded, counted and read."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, KEY, System, running_new, wait_for

# The contract's ten seconds, five times over: a busy machine takes longer than a quiet one, and `make bench` measures.
PROMPTLY = 50


@pytest.fixture(scope="module", params=ENGINES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system of all these tests, which begins with nothing."""
    with running_new(tmp_path_factory.mktemp("way") / "home", request.param, PHAROS_K="1") as system:
        yield system


@pytest.fixture
def system(shared: System) -> System:
    """The system of the tests before, which runs."""
    return shared.in_operation()


@pytest.fixture
def module() -> dict[str, str]:
    """A module of which one test alone sends beacons, so that its figures are those of this test."""
    return {"name": f"module_{uuid.uuid4().hex[:12]}", "version": "3.2.1"}


def value(system: System, metric: str, module: dict[str, str]) -> Any:
    """The figure of all days of a module."""
    (row,) = system.rows(metric, grain="period", module=module["name"])
    return row["value"]


def test_a_beacon_is_in_the_figures_soon_after_its_202(system: System, module: dict[str, str]) -> None:
    """An accepted beacon soon is in the read API, in both planes."""
    system.read("/healthz")  # so that making the token does not count
    name = module["name"]
    status, answer = system.post(beacon(module=module))
    assert (status, answer["accepted"], answer["duplicates"], answer["rejected"]) == (202, 1, 0, [])
    wait_for(lambda: value(system, "installs", module) == 1, "the beacon in the figures", PROMPTLY)

    def licensed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = system.read("/api/v1/licensing/installs", module=name)[1]["rows"]
        return rows

    wait_for(licensed, "the install in the license plane", PROMPTLY)
    (row,) = licensed()
    assert (row["module"], row["version"], row["status"], row["source"]) == (
        name, "3.2.1", "licensed", "whmcs-addon-modules",
    )  # fmt: skip
    assert (row["ip"], row["flags"], row["review"]) == ("127.0.0.1", [], None)
    assert row["first_seen"] == row["last_seen"]


def test_a_beacon_that_is_sent_again_changes_nothing(system: System, module: dict[str, str]) -> None:
    """A retry is a duplicate, also after loading and after a restart."""
    posted = beacon(module=module, features={"a": 3})
    assert system.post(posted)[1]["accepted"] == 1
    system.drain()
    assert system.post(posted)[1] | {"next_in": 0} == {"accepted": 0, "duplicates": 1, "rejected": [], "next_in": 0}
    system.stop()
    system.start()
    assert system.post([posted, posted])[1]["duplicates"] == 2
    system.drain()
    assert value(system, "feature_uses", module) == 3


def test_sigterm_ends_it_cleanly_and_what_was_taken_is_there_at_the_next_start(
    system: System, module: dict[str, str]
) -> None:
    """After SIGTERM the exit status is 0, no process is left, and no accepted beacon is lost."""
    assert system.post([beacon(module=module) for _ in range(100)])[1]["accepted"] == 100
    assert system.stop() == 0
    assert system.processes() == {}
    system.start()
    system.drain()
    assert value(system, "installs", module) == 100


def test_roles_hold_in_the_read_api(system: System) -> None:
    """The product role reads metrics but no licenses. Without a token nothing is readable."""
    assert system.read("/api/v1/metrics/installs", role="product")[0] == 200
    for path in ("/api/v1/licensing/installs", "/api/v1/licensing/flags"):
        assert system.read(path, role="product")[0] == 403
        assert system.read(path, role="licensing")[0] == 200
    system._tokens["nobody"] = "prt_not-a-token"
    assert system.read("/api/v1/metrics/installs", role="nobody")[0] == 401


def test_nothing_that_names_an_install_is_in_the_home_or_the_log(system: System) -> None:
    """No file and no log contains an install_id, beacon_id, license key hash or ingest key."""
    key_hash = "5eb63bbbe01eeed093cb22bb8f5acdc3" * 2
    posted = beacon(license={"status": "unlicensed", "source": "unknown", "key_hash": key_hash})
    assert system.post(posted)[0] == 202
    system.drain()
    system.post(b'{"install_id": "' + posted["install_id"].encode() + b'", "nonsense": 1}')
    assert system.stop() == 0
    folders = [system.home]
    if system.environ["PHAROS_CLICKHOUSE_URL"]:
        folders.append(Path(os.environ["CLICKHOUSE_CONFIG"]).parent)  # with the server's own logs
    files = [content for folder in folders for content in _contents(folder)]
    assert len(files) > 20
    hidden = [posted["install_id"], posted["beacon_id"], key_hash, KEY]
    for secret in [form for text in hidden for form in (text, text.replace("-", ""), text.upper())]:
        assert not any(secret.encode() in content for content in files)
        assert secret not in system.log()
    for text in hidden[:3]:
        assert not any(bytes.fromhex(text.replace("-", "")) in content for content in files)


def _contents(folder: Path) -> Iterator[bytes]:
    """Each file of a folder in which a server writes, without those that it deletes meanwhile."""
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file():  # and no socket
                    yield path.read_bytes()


def test_a_backlog_is_loaded_in_full_batches(system: System, module: dict[str, str]) -> None:
    """A backlog is loaded in batches of thousands, each beacon once."""
    assert system.stop() == 0
    lines = b"\n".join(json.dumps(beacon(module=module, features={"a": 2})).encode() for _ in range(12_000))
    done = system.run("import", "-", stdin=lines)
    assert done.stdout.split() == [b"imported=12000", b"duplicates=0", b"rejected=0"]
    system.start()
    system.drain()
    assert value(system, "installs", module) == 12_000
    assert value(system, "feature_uses", module) == 24_000


def test_freshness_goes_on_after_a_restart(system: System) -> None:
    """`fresh_to` continues after a restart."""
    wait_for(lambda: system.read("/api/v1/metrics/installs")[1]["fresh_to"], "the first word of freshness")
    assert system.stop() == 0
    system.start()
    started = datetime.now(UTC)
    wait_for(lambda: _fresh_to(system) > started, "a newer freshness", 30)


def _fresh_to(system: System) -> datetime:
    return datetime.fromisoformat(system.read("/api/v1/metrics/installs")[1]["fresh_to"])


def test_a_port_in_use_is_told_and_nothing_starts(system: System, tmp_path: Path) -> None:
    """A second Pharos on the same ports exits with the setting's name and leaves its home unchanged."""
    second = System(tmp_path / "second")
    second.environ |= {name: value for name, value in system.environ.items() if name.endswith("_BIND")}
    done = second.run("serve")
    assert done.returncode == 1
    assert b"PHAROS_COLLECTOR_BIND" in done.stderr
    assert b"ingest key" not in done.stdout
    assert not (tmp_path / "second" / "credentials.sqlite").exists()
