"""Commands that root runs in another user's home: all files there belong to that user."""

import contextlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon
from tests.pharos_cli.command import PHAROS, environment, pharos

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

SERVICE = pwd.getpwnam("nobody")
# Whether that user may run the Python of the tests: one below /root is for root alone.
CAN_RUN = all(path.stat().st_mode & 0o001 for path in Path(sys.executable).resolve().parents)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter. Those of pytest are closed to other users."""
    made = Path(tempfile.mkdtemp(prefix="pharos-root-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """A home that the service's user created and used, for copies: it is no longer used itself."""
    with open_folder() as folder:
        home = folder / "home"
        home.mkdir(mode=0o700)
        os.chown(home, SERVICE.pw_uid, SERVICE.pw_gid)
        for words, given in ((("keys", "new"), b""), (("import", "-"), json.dumps(beacon()).encode())):
            done = as_service(home, *words, given=given)
            assert done.returncode == 0, done.stderr
        yield home


@pytest.fixture
def home(folder: Path, used: Path) -> Path:
    """A copy of the used home, with the owners of its files."""
    subprocess.run(["cp", "--archive", used, folder], check=True)
    return folder / "home"


def as_service(home: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a command as the service's user, or as root where that user cannot run our Python."""
    if not CAN_RUN:
        return pharos(home, *words, given=given)
    done = subprocess.run(
        [*PHAROS, *words],
        env=environment(home, {}) | {"HOME": "/"},
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
        cwd="/",
        user=SERVICE.pw_uid,
        group=SERVICE.pw_gid,
        extra_groups=[],
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def others(folder: Path) -> list[str]:
    """Return the files in a folder that do not belong to the service's user."""
    return [str(path) for path in folder.rglob("*") if path.lstat().st_uid != SERVICE.pw_uid]


@pytest.mark.skipif(not CAN_RUN, reason="the user of the service cannot run this Python")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_the_home_of_another_user_is_said_with_the_cure(folder: Path, mode: int) -> None:
    """In one line, and the doctor ends there if it cannot look into the home."""
    home = folder / "home"
    home.mkdir()
    home.chmod(mode)
    said = (
        f"{home} cannot be written: it belongs to root: run Pharos as root, or give it to {SERVICE.pw_name} "
        "with chown -R\n"
    )
    for words in (("keys", "list"), ("serve",)):
        done = as_service(home, *words)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"pharos: {said}")
    done = as_service(home, "doctor")
    assert (done.returncode, "Permission denied" in done.stderr) == (1, False)
    assert f"FAIL home         {said}" in done.stdout
    assert len(done.stdout.splitlines()) == 2 or mode == 0o755


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "new"),
        ("keys", "list"),
        ("users", "add", "jane", "--role", "admin"),
        ("tokens", "new", "--role", "product"),
        ("access", "list"),
        ("access", "verify"),
        ("catalog", "check"),
        ("doctor",),
        ("drain", "--timeout", "0"),
        ("quarantine", "list"),
        ("rights", "list"),
        ("rights", "request", "access", "5f0c1c0e-3b1e-4b7e-8f7a-6d5c4b3a2f1e"),
        ("rights", "decisions"),
        ("migrate",),
        ("recount",),
        ("privacy", "linkage"),
    ],
)
def test_what_root_makes_in_the_home_belongs_to_its_owner(home: Path, words: tuple[str, ...]) -> None:
    """No command leaves a file of root, and the service still works."""
    done = pharos(home, *words)
    assert "Traceback" not in done.stderr
    assert others(home) == []
    after = as_service(home, "import", "-", given=json.dumps(beacon()).encode())
    assert after.returncode == 0, after.stderr


@pytest.mark.parametrize("word", ["collector", "dashboard", "serve"])
def test_a_service_that_root_starts_has_no_right_but_the_owner_s(home: Path, word: str) -> None:
    """A start fails with one line if it needs rights that the home's owner lacks."""
    done = pharos(home, word, PHAROS_COLLECTOR_BIND="127.0.0.1:80", PHAROS_DASHBOARD_BIND="127.0.0.1:81")
    assert done.returncode == 1
    assert done.stderr.startswith("pharos: PHAROS_" if CAN_RUN else "pharos: nobody, the owner of ")
    assert len(done.stderr.splitlines()) == 1
    assert others(home) == []


@pytest.mark.skipif(not CAN_RUN, reason="the service's user cannot run this Python")
def test_a_collector_that_root_starts_has_the_owner_s_ids(home: Path) -> None:
    """Master and workers have the owner's user and groups, and no capabilities."""
    with Collector(home, PHAROS_INGEST_KEY=KEY) as collector:
        assert collector.request("GET", "/readyz").status == 200
        for process in collector.processes():
            lines = dict(
                line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":" in line
            )
            assert set(lines["Uid"].split()) == {str(SERVICE.pw_uid)}
            assert set(lines["Gid"].split()) == {str(SERVICE.pw_gid)}
            assert "0" not in lines["Groups"].split()
            assert int(lines["CapEff"], 16) == 0
    assert others(home) == []


def test_root_imports_a_file_that_only_root_may_read(home: Path, folder: Path) -> None:
    """An import opens its files before root becomes the owner of the home."""
    (folder / "closed").mkdir(mode=0o700)
    file = folder / "closed" / "beacons.ndjson"
    file.write_text(json.dumps(beacon()))
    file.chmod(0o600)
    done = pharos(home, "import", str(file))
    assert (done.returncode, done.stdout) == (0, "imported=1 duplicates=0 rejected=0\n"), done.stderr
    assert others(home) == []


def test_a_backup_that_root_makes_belongs_to_the_owner_of_the_home(home: Path, folder: Path) -> None:
    """The folder of the backup belongs to the home's owner, who can restore it."""
    made = folder / "backups" / "first"
    done = pharos(home, "backup", "--home-only", "--with-secret", str(made))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert (made.stat().st_uid, others(made)) == (SERVICE.pw_uid, [])
    assert others(home) == []
    new = folder / "new"
    new.mkdir(mode=0o700)
    os.chown(new, SERVICE.pw_uid, SERVICE.pw_gid)
    done = pharos(new, "restore", str(made))
    assert done.returncode == 0, done.stderr
    assert others(new) == []


def test_a_backup_into_a_folder_of_somebody_else_s_is_refused(home: Path, folder: Path) -> None:
    """A backup into a used folder or through a link is refused and changes no owner."""
    used = folder / "used"
    used.mkdir(mode=0o755)
    (used / "letter").touch()
    empty = folder / "empty"
    empty.mkdir(mode=0o755)
    (folder / "link").symlink_to(empty)
    for target in (used, folder / "link"):
        done = pharos(home, "backup", "--home-only", str(target))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert used.stat().st_uid == empty.stat().st_uid == 0


def test_a_home_that_root_owns_stays_root_s(tmp_path: Path) -> None:
    """A home of root stays root's."""
    done = pharos(tmp_path / "home", "keys", "new")
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_uid for path in (tmp_path / "home").iterdir()} == {0}
