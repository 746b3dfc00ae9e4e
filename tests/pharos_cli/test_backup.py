"""`pharos backup` and `pharos restore`: what they store and what they refuse."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from core.home import Home
from core.settings import Settings
from pharos import manifest
from pharos import restore as restoring
from pharos.backup import Progress
from tests.collector.sample import beacon
from tests.end_to_end.system import clickhouse_url, free_ports
from tests.pharos_cli.command import PHAROS, environment, pharos
from tests.pharos_cli.homes import fill, in_a_process, settings
from warehouse.engine import Engine
from warehouse.licensing import states_key
from warehouse.migrate import migrate
from warehouse.month_tables import USED_AFTER

SECRET = "the root secret of these tests, forty-odd letters"


def test_a_backup_is_for_nobody_else(whole: Path) -> None:
    """Folders of a backup have mode 0700 and files 0600."""
    files = [path for path in whole.rglob("*") if path.is_file()]
    assert len(files) > 6
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (whole, whole / "tables")} == {0o700}


def test_a_backup_is_restored(whole: Path, tmp_path: Path) -> None:
    """The restore prints what it restored, and the aggregates match a recount."""
    done = pharos(tmp_path / "home", "restore", str(whole))
    assert (done.returncode, done.stdout) == (0, "restored beacons=40 installs=40 spooled=10\n")
    assert pharos(tmp_path / "home", "recount").returncode == 0
    assert len(pharos(tmp_path / "home", "keys", "list").stdout.splitlines()) == 1


def restored_without_days_of_use(home: Path, backup: Path) -> None:
    """Restore a backup whose aggregates lack the days of use, as those of an earlier version do."""
    tables = restoring._tables

    def without(whole: manifest.Manifest, folder: Path, engine: Engine, attempt: str, progress: Progress) -> None:
        tables(whole, folder, engine, attempt, progress)
        engine.command("ALTER TABLE installs_by_month UPDATE used = 0 WHERE 1", {"mutations_sync": 1})

    restoring._tables = without
    restoring.restore(settings(home), backup, lambda *_: None)


def test_a_backup_of_before_the_days_of_use_gets_them(whole: Path, tmp_path: Path) -> None:
    """They are taken from the table of features, and match a recount."""
    shutil.copytree(whole, tmp_path / "backup")
    migrations = manifest.read(whole).migrations
    rewritten(migrations={name: each for name, each in migrations.items() if name < USED_AFTER})(tmp_path / "backup")
    assert in_a_process(restored_without_days_of_use, tmp_path / "home", tmp_path / "backup") == 0
    assert pharos(tmp_path / "home", "recount").returncode == 0
    shutil.rmtree(tmp_path / "home")
    assert in_a_process(restored_without_days_of_use, tmp_path / "home", whole) == 0
    assert pharos(tmp_path / "home", "recount").returncode == 1, "of this version, it has them"


def flip(name: str) -> Callable[[Path], None]:
    """Flip one bit in the middle of a file."""

    def damage(backup: Path) -> None:
        (path,) = list(backup.glob(name))[:1]
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return damage


def newer(backup: Path) -> None:
    """Rewrite the manifest as a later Pharos might, with an unknown format."""
    raw = json.dumps({"format": manifest.FORMAT + 1}).encode()
    sealed = {"sha256": hashlib.sha256(raw).hexdigest(), "backup": json.loads(raw)}
    (backup / "manifest.json").write_text(json.dumps(sealed))


def rewritten(**changes: Any) -> Callable[[Path], None]:
    """Rewrite the manifest of a valid backup."""

    def damage(backup: Path) -> None:
        found = manifest.read(backup)
        for name, value in changes.items():
            setattr(found, name, value)
        manifest.write(backup, found)

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip("manifest.json"), "manifest.json is damaged"),
        (flip("spool.sqlite"), "spool.sqlite is damaged"),
        (flip("credentials.sqlite"), "credentials.sqlite is damaged"),
        (flip("secret"), "secret is damaged"),
        (flip("tables/usage_beacons.*"), ".native.gz is damaged"),
        (lambda backup: (backup / "manifest.json").unlink(), "is not a backup, or was not finished"),
        (lambda backup: (backup / "spool.sqlite").unlink(), "spool.sqlite cannot be read: No such file"),
        (lambda backup: shutil.rmtree(backup / "tables"), "cannot be read: No such file"),
        (lambda backup: os.truncate(backup / "spool.sqlite", 4096), "spool.sqlite is damaged"),
        (lambda backup: os.truncate(backup / "manifest.json", 200), "manifest.json is damaged"),
        (newer, f"was made by a newer Pharos: its format is {manifest.FORMAT + 1}"),
        (
            rewritten(migrations={"999_later.sql": "ab"}),
            f"was made by a newer Pharos ({version('pharos')}): its database has 999",
        ),
        (rewritten(migrations={"001_usage.sql": "ab"}), "001_usage.sql is not the file that was applied"),
        (shutil.rmtree, "is not a backup"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused(
    whole: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    """An invalid backup is refused with one line, and nothing is written."""
    shutil.copytree(whole, tmp_path / "backup")
    damage(tmp_path / "backup")
    done = pharos(tmp_path / "home", "restore", str(tmp_path / "backup"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pharos: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_a_home_that_holds_data_is_left_alone(whole: Path, tmp_path: Path) -> None:
    """A restore into a home with data is refused and changes nothing."""
    pharos(tmp_path / "home", "import", "-", given=json.dumps(beacon()).encode())
    before = (tmp_path / "home" / "spool.sqlite").read_bytes()
    done = pharos(tmp_path / "home", "restore", str(whole))
    assert done.returncode == 1
    assert "is in use: it holds " in done.stderr
    assert (tmp_path / "home" / "spool.sqlite").read_bytes() == before
    assert not (tmp_path / "home" / "credentials.sqlite").exists()


@pytest.mark.server
def test_a_database_on_a_server_that_holds_rows_is_left_alone(whole: Path, tmp_path: Path) -> None:
    """A restore into a database with rows is refused, and the home stays new."""
    url = clickhouse_url("server")
    assert in_a_process(fill, tmp_path / "other", url, 5, 0) == 0
    done = pharos(tmp_path / "home", "restore", str(whole), PHAROS_CLICKHOUSE_URL=url)
    assert done.returncode == 1
    assert "contains rows: a restore needs an empty database" in done.stderr
    assert {path.suffix for path in (tmp_path / "home").iterdir()} == {".lock"}


@pytest.mark.server
def test_an_empty_database_becomes_that_of_the_restored_home(whole: Path, tmp_path: Path) -> None:
    """Also after another home has started with it, which loads nothing any more."""
    url, cluster = clickhouse_url("server"), os.environ.get("CLICKHOUSE_CLUSTER", "")
    other = Settings(clickhouse_url=url, clickhouse_cluster=cluster)
    home = Home(tmp_path / "other")
    home.root_secret(other)
    with closing(Engine(other, home)) as engine:
        migrate(engine)
        states_key.claim(engine)
        done = pharos(
            tmp_path / "home", "restore", str(whole), PHAROS_CLICKHOUSE_URL=url, PHAROS_CLICKHOUSE_CLUSTER=cluster
        )
        assert done.returncode == 0, done.stderr
        assert states_key.is_of_another(engine)
    for word in ("migrate", "recount"):
        done = pharos(tmp_path / "home", word, PHAROS_CLICKHOUSE_URL=url, PHAROS_CLICKHOUSE_CLUSTER=cluster)
        assert done.returncode == 0, done.stderr


def test_a_secret_that_was_a_setting_must_be_given_again(tmp_path: Path) -> None:
    """A restore needs the same `PHAROS_SECRET`, which is not in the backup."""
    given = json.dumps(beacon()).encode()
    pharos(tmp_path / "home", "import", "-", given=given, PHAROS_SECRET=SECRET)
    done = pharos(tmp_path / "home", "backup", str(tmp_path / "backup"), "--home-only", PHAROS_SECRET=SECRET)
    assert done.returncode == 0, done.stderr
    assert not any(SECRET.encode() in path.read_bytes() for path in (tmp_path / "backup").iterdir() if path.is_file())
    for wrong, said in (
        ("", "set PHAROS_SECRET or PHAROS_SECRET_FILE to it"),
        (SECRET[:-1], "is not the root secret"),
    ):
        done = pharos(tmp_path / "new", "restore", str(tmp_path / "backup"), PHAROS_SECRET=wrong)
        assert (done.returncode, said in done.stderr) == (1, True)
        assert not (tmp_path / "new").exists()
    done = pharos(tmp_path / "new", "restore", str(tmp_path / "backup"), PHAROS_SECRET=SECRET)
    assert done.stdout == "restored beacons=0 installs=0 spooled=1\n"
    done = pharos(tmp_path / "new", "import", "-", given=given, PHAROS_SECRET=SECRET)
    assert done.stdout == "imported=0 duplicates=1 rejected=0\n"


def test_the_root_secret_of_the_home_is_left_out(tmp_path: Path) -> None:
    """Without `--with-secret` the root secret is not in the backup, and both commands say so."""
    home, backup, new = (tmp_path / name for name in ("home", "backup", "new"))
    given = json.dumps(beacon()).encode()
    pharos(home, "import", "-", given=given)
    secret = (home / "secret").read_text().strip()
    done = pharos(home, "backup", str(backup), "--home-only")
    assert (done.returncode, "the root secret is not in the backup" in done.stderr) == (0, True)
    assert str(home / "secret") in done.stderr
    assert not any(secret.encode() in path.read_bytes() for path in backup.rglob("*") if path.is_file())
    refused = pharos(new, "restore", str(backup))
    assert (refused.returncode, "set PHAROS_SECRET or PHAROS_SECRET_FILE" in refused.stderr) == (1, True)
    assert not new.exists()
    assert pharos(new, "restore", str(backup), PHAROS_SECRET_FILE=str(home / "secret")).returncode == 0
    done = pharos(new, "import", "-", given=given, PHAROS_SECRET=secret)
    assert done.stdout == "imported=0 duplicates=1 rejected=0\n"
    asked = pharos(home, "backup", str(tmp_path / "asked"), "--home-only", "--with-secret")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert (tmp_path / "asked" / "secret").read_text().strip() == secret


def test_another_secret_than_the_home_had_is_refused(whole: Path, tmp_path: Path) -> None:
    """A restore under a different `PHAROS_SECRET` than the backup's is refused."""
    done = pharos(tmp_path / "home", "restore", str(whole), PHAROS_SECRET=SECRET)
    assert "PHAROS_SECRET is not the root secret of the backup" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_destination_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A backup into the home, beside other files, or without tables is refused. So is a backup of nothing."""
    home = tmp_path / "home"
    home.mkdir()
    assert "contains nothing" in pharos(home, "backup", str(tmp_path / "new")).stderr
    pharos(home, "import", "-", given=json.dumps(beacon()).encode())
    assert "inside the home" in pharos(home, "backup", str(home / "backup")).stderr
    assert "the home contains no tables" in pharos(home, "backup", str(tmp_path / "new")).stderr
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "letter").write_text("dear")
    assert "is not empty" in pharos(home, "backup", "--home-only", str(tmp_path / "used")).stderr
    assert "cannot be used" in pharos(home, "backup", "--home-only", str(tmp_path / "used" / "letter")).stderr
    assert (tmp_path / "used" / "letter").read_text() == "dear"
    assert not (tmp_path / "new").exists()
    assert not (home / "backup").exists()


@pytest.mark.parametrize("most", [1_000, 20_000])
def test_a_full_disk_leaves_no_backup(tmp_path: Path, most: int) -> None:
    """If a file cannot be written, the error is one line and nothing is left."""
    home = tmp_path / "home"
    pharos(home, "keys", "new")
    pharos(home, "import", "-", given=json.dumps(beacon()).encode())
    done = subprocess.run(
        [*PHAROS, "backup", str(tmp_path / "backup"), "--home-only"],
        env=environment(home, {}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"pharos: the backup cannot be written: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "backup").exists()


def test_a_backup_without_clickhouse_leaves_no_folder(tmp_path: Path) -> None:
    """A folder that was there before stays, empty."""
    home, (port,) = tmp_path / "home", free_ports(1)
    pharos(home, "keys", "new")
    (tmp_path / "before").mkdir()
    for name in ("new", "before"):
        done = pharos(home, "backup", str(tmp_path / name), PHAROS_CLICKHOUSE_URL=f"http://127.0.0.1:{port}/pharos")
        assert done.returncode == 1, done.stdout
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "before").iterdir()) == []
