"""docs/upgrade.md, tried: a home of the version before, with data, under this version, and the ways back."""

import json
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import System, running_at, wait_for

ROOT = Path(__file__).parents[2]
# The version before: without the license registry, with raw rows for 13 months.
BEFORE = "297bd860461fe882d49ac1df33cf515f562a4ec2"
DAYS = (0, 1, 2, 20, 45, 62)


def source(commit: str, folder: Path) -> Path:
    """Return the files of a commit. Skips in a copy of the repository without it."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"this repository does not have {commit}")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def settings(code: Path) -> dict[str, str]:
    """Settings under which Pharos runs from a folder, whatever the working directory is."""
    return {"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1", "PHAROS_K": "1"}


def lines() -> bytes:
    """Beacons of three months, with an upgrade of PHP and with features."""
    made = []
    for number in range(12):
        install = str(uuid.UUID(int=number + 1))
        for days in DAYS[number % 3 :]:
            sent_at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
            one = beacon(install_id=install, sent_at=sent_at, features={"invoice.pdf_export": number, "bulk_email": 2})
            one["platform"]["php"] = "8.3.1" if days < 20 else "8.2.12"
            made.append(one)
    return "".join(json.dumps(one) + "\n" for one in made).encode()


def figures(system: System) -> dict[str, Any]:
    """The figures of both planes."""
    today = datetime.now(UTC).date()
    span = {"from": str(today - timedelta(days=90)), "to": str(today)}
    status, licensing = system.read("/api/v1/licensing/installs")
    assert status == 200
    kept = ("id", "module", "version", "status", "source", "key", "ip", "first_seen", "last_seen")
    return {
        "days": system.rows("installs", **span),
        "php": system.rows("installs", **span, grain="month", by="php"),
        "uses": system.rows("feature_uses", **span, grain="month"),
        "licensing": sorted(str([row[name] for name in kept]) for row in licensing["rows"]),
    }


def test_a_home_of_the_version_before_is_upgraded_and_the_way_back_is_a_restore(tmp_path: Path) -> None:
    """The figures are equal after the upgrade, and later beacons count.

    The version before then accepts beacons but loads none of them, loses none, and says why. Its backup restores
    its figures.
    """
    old, home, backup = source(BEFORE, tmp_path / "old"), tmp_path / "home", tmp_path / "backup"
    with running_at("", home, **settings(old)) as system:
        assert system.run("import", "-", stdin=lines()).returncode == 0
        system.drain()
        before = figures(system)
        assert len(before["licensing"]) == 12
        assert sum(row["value"] or 0 for row in before["days"]) > 50
        done = system.run("backup", str(backup))
        assert done.returncode == 0, done.stderr
        assert system.stop() == 0
    checked = System(home, **settings(ROOT)).run("doctor")
    assert checked.returncode == 0, checked.stdout.decode()
    with running_at("", home, **settings(ROOT)) as system:
        wait_for(lambda: figures(system)["licensing"], "the license reports of the version before to be sealed")
        assert figures(system) == before
        assert system.post(beacon())[0] == 202
        system.drain()
        assert len(figures(system)["licensing"]) == 13
        assert system.run("doctor").returncode == 0
        assert system.stop() == 0
        assert system.run("recount").returncode == 0
    with running_at("", home, "/healthz", **settings(old)) as system:
        wait_for(lambda: "the database is newer than this Pharos" in system.log(), "the loader to refuse")
        assert system.post(beacon())[0] == 202
        assert system.run("drain", "--timeout", "3").returncode == 1
        assert system.stop() == 0
    with running_at("", home, **settings(ROOT)) as system:
        system.drain()
        assert len(figures(system)["licensing"]) == 14
    restored = System(tmp_path / "restored", **settings(old), PHAROS_SECRET=(home / "secret").read_text())
    done = restored.run("restore", str(backup))
    assert done.returncode == 0, done.stderr
    with running_at("", restored.home, **settings(old), PHAROS_SECRET=restored.environ["PHAROS_SECRET"]) as system:
        system.drain()
        assert figures(system) == before
