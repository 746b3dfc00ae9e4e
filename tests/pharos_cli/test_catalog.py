"""`pharos catalog check`, doctor's check of the catalog, and starts with an invalid catalog."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.collector.sample import beacon
from tests.docs.markdown import ROOT
from tests.pharos_cli.command import pharos
from tests.pharos_cli.test_import import last, ndjson

ENTRY = '[[feature]]\nname = "x"\npurpose = "why"\nowner = "the team"\n'
MODULE = ENTRY.replace("feature", "module").replace('"x"', '"invoice_pro"')
BROKEN = 'mode = "declared"\n[[feature]]\nname = "x"\npurpose = "why"\n'


def home_with(path: Path, text: str) -> Path:
    """Create a home with this catalog."""
    (path / "home").mkdir(mode=0o700)
    (path / "home" / "catalog.toml").write_text(text)
    return path / "home"


def test_the_example_is_a_catalog() -> None:
    """The example is valid and allows the README's beacon."""
    example = ROOT / "deploy" / "catalog.example.toml"
    done = pharos(ROOT / "no-home", "catalog", "check", str(example))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{example}: mode open, 1 modules, 2 features, 1 sources\n"
    assert not (ROOT / "no-home").exists()


def test_what_is_wrong_is_listed_and_exits_1(tmp_path: Path) -> None:
    """All errors are listed on stderr with their lines, for the home's catalog and for a given file."""
    home = home_with(tmp_path, BROKEN + ENTRY.replace('"x"', '"X"'))
    file = home / "catalog.toml"
    said = [
        f"{file}: line 2: feature x: has no owner",
        f"{file}: line 5: feature X: its name must match [a-z][a-z0-9_.]{{0,63}}",
    ]
    for words in ((), (str(file),)):
        done = pharos(home, "catalog", "check", *words)
        assert (done.returncode, done.stdout, done.stderr.splitlines()) == (1, "", said)


def test_what_expires_is_listed(tmp_path: Path) -> None:
    """Expired entries, and those that expire within 30 days, are listed with their owner. They are no error."""
    today = datetime.now(UTC).date()
    gone, soon, later = today - timedelta(days=2), today + timedelta(days=20), today + timedelta(days=40)
    text = "".join(
        ENTRY.replace('"x"', f'"{name}"') + f"expires = {when}\n"
        for name, when in (("soon", soon), ("later", later), ("gone", gone))
    )
    home = home_with(tmp_path, text)
    done = pharos(home, "catalog", "check")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"feature gone expired after {gone}; owner: the team",
        f"feature soon expires after {soon}; owner: the team",
        f"{home / 'catalog.toml'}: mode open, 0 modules, 3 features, 0 sources",
    ]


def test_no_catalog_is_said_to_be_none(tmp_path: Path) -> None:
    """Without a catalog in the home the command says so. A given file must exist."""
    (tmp_path / "home").mkdir()
    done = pharos(tmp_path / "home", "catalog", "check")
    assert done.returncode == 0
    assert "does not exist: every valid value" in done.stdout
    missing = str(tmp_path / "missing.toml")
    for done in (
        pharos(tmp_path / "home", "catalog", "check", missing),
        pharos(tmp_path / "home", "catalog", "check", PHAROS_CATALOG=missing),
    ):
        assert done.returncode == 1
        assert done.stderr == f"{missing}: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("words", [("serve",), ("collector",), ("import", "-"), ("demo",)])
def test_a_broken_catalog_stops_the_start(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Commands that store beacons exit with one line that has file, line and error."""
    home = home_with(tmp_path, BROKEN)
    done = pharos(home, *words, PHAROS_COLLECTOR_BIND="127.0.0.1:1", PHAROS_DASHBOARD_BIND="127.0.0.1:2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"pharos: {home}/catalog.toml: line 2: feature x: has no owner"
    assert "ingest key" not in done.stdout
    assert not (home / "credentials.sqlite").exists()


def test_the_doctor_looks_at_the_catalog(tmp_path: Path) -> None:
    """Doctor prints the contents of the catalog, or its error."""
    home = home_with(tmp_path, MODULE + ENTRY + "expires = 2020-01-31\n")
    done = pharos(home, "doctor")
    assert "ok   catalog      mode open, 1 modules, 1 features, 0 sources; 1 of them expired\n" in done.stdout
    (home / "catalog.toml").write_text(BROKEN)
    done = pharos(home, "doctor")
    assert f"FAIL catalog      {home}/catalog.toml: line 2: feature x: has no owner\n" in done.stdout
    assert done.returncode == 1


def test_an_import_stores_only_what_was_declared(tmp_path: Path) -> None:
    """Undeclared modules are rejected with their lines. The summary counts what else was left out."""
    home = home_with(tmp_path, f'mode = "declared"\n{MODULE}')
    lines = ndjson(*[beacon()] * 2, beacon(), beacon({"module.name": "jane_doe_private"}))
    done = pharos(home, "import", "-", given=lines)
    assert done.returncode == 0
    assert last(done.stdout) == "imported=2 duplicates=1 rejected=1"
    assert done.stderr.splitlines() == [
        "-:4: undeclared module.name: the catalog does not declare this module",
        "not stored, because the catalog does not declare it: feature 4, source 2",
    ]
    with sqlite3.connect(home / "spool.sqlite") as db:
        rows = db.execute("SELECT usage, license FROM beacons").fetchall()
    db.close()
    assert [json.loads(usage)["features"] for usage, _ in rows] == [{}, {}]
    assert {json.loads(license)["source"] for _, license in rows} == {"(undeclared)"}


def test_a_backup_has_the_home_s_catalog(tmp_path: Path) -> None:
    """A backup includes the catalog, so that a restored system stores no more than before."""
    home = home_with(tmp_path, f'mode = "declared"\n{MODULE}')
    assert pharos(home, "import", "-", given=ndjson(beacon())).returncode == 0
    assert pharos(home, "backup", "--home-only", "--with-secret", str(tmp_path / "backup")).returncode == 0
    done = pharos(tmp_path / "new", "restore", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "catalog.toml").read_text() == (home / "catalog.toml").read_text()
