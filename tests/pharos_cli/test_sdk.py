"""`pharos sdk`: the PHP client of one vendor."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from core.fields import FIELDS
from pharos import sdk
from tests.pharos_cli.command import pharos
from warehouse.retention import KEPT

ROOT = Path(__file__).parents[2]
OPTIONS = ("--vendor", "Acme", "--collector", "https://telemetry.example.com/", "--key", "pik_it's\\")

TELL = "$c = end(Acme\\Pharos\\Copies::$loaded) . '\\Config'; echo $c::VENDOR, ' ', $c::COLLECTOR, ' ', $c::KEY;"
CONFIG = "Acme https://telemetry.example.com pik_it's\\"


def run_php(code: str) -> str:
    done = subprocess.run(["php", "-d", "display_errors=stderr", "-r", code], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return pharos(Path("unused"), "sdk", *arguments)


def test_it_writes_two_files_in_the_vendors_namespace(tmp_path: Path) -> None:
    """Both are PHP, in the vendor's namespace alone, with the address and the key, and the same each time."""
    out = tmp_path / "lib" / "pharos.php"  # a folder that is not there yet
    written = run(*OPTIONS, "--split", "--out", str(out))
    assert written.returncode == 0
    rest = out.with_name("pharos-rest.php")
    assert str(out) in written.stderr
    assert str(rest) in written.stderr
    texts = (out.read_text(), rest.read_text())
    assert run(*OPTIONS, "--split", "--out", str(out)).returncode == 0
    assert (out.read_text(), rest.read_text()) == texts
    for text in texts:
        assert set(re.findall(r"^namespace (\w+\\\w+)", text, re.MULTILINE)) == {"Acme\\Pharos"}
    assert CONFIG in run_php(f"require {str(out)!r}; {TELL}")
    # Whoever calls the second file by itself, by the web server too, gets nothing.
    assert (
        run_php(f"require {str(rest)!r}; require {str(rest)!r}; echo class_exists('Acme\\Pharos\\Client') ? 1 : 0;")
        == "0"
    )


def test_it_writes_one_file_that_is_enough(tmp_path: Path) -> None:
    """The whole client is one file, on standard output or in a folder that is not there yet."""
    one = tmp_path / "lib" / "one.php"
    written = run(*OPTIONS, "--out", str(one))
    assert (written.returncode, written.stdout) == (0, "")
    assert f"wrote {one}" in written.stderr
    assert OPTIONS[-1] not in written.stderr
    assert one.read_text() == run(*OPTIONS).stdout
    assert [path.name for path in one.parent.iterdir()] == ["one.php"]
    refused = run(*OPTIONS, "--split")
    assert (refused.returncode, "--split needs --out" in refused.stderr) == (1, True)
    client = f"Acme\\Pharos\\Client::module('m', ['state' => {str(tmp_path / 'state')!r}])"
    assert run_php(f"require {str(one)!r}; {TELL} echo {client}->tick()->status();") == f"{CONFIG}off"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--vendor", "acme"), ("--vendor", "Ac me"), ("--vendor", "A\\B"), ("--vendor", ""), ("--vendor", "List"),
        ("--collector", "http://telemetry.example.com"), ("--collector", "telemetry.example.com"),
        ("--collector", "https://a/?b"), ("--collector", "https://a.example/v1/beacons"), ("--key", ""),
        ("--key", "a b"), ("--key", "a\nb"), ("--key", "pik_..."), ("--key", "prt_abc"), ("--key", "prk_abc"),
    ],
)  # fmt: skip
def test_what_no_client_can_be_made_of_is_one_line(option: str, value: str) -> None:
    """A wrong option is an error of one line that names it, and no file."""
    given = dict(zip(OPTIONS[::2], OPTIONS[1::2], strict=True)) | {option: value}
    done = run(*(word for pair in given.items() for word in pair))
    assert done.returncode != 0
    assert done.stdout == ""
    assert option in done.stderr
    assert "Traceback" not in done.stderr


def test_every_source_is_in_the_file_and_in_the_wheel(tmp_path: Path) -> None:
    """No class is forgotten, and an installed Pharos has the sources too."""
    text = sdk.php("Acme", "https://x.example", "k")
    sources = [path.relative_to(ROOT) for path in (ROOT / "client_sdk" / "php" / "src").rglob("*.php")]
    assert set(re.findall(r"^(?:final class|interface) (\w+)", text, re.MULTILINE)) == {path.stem for path in sources}
    tree, wheels = tmp_path / "tree", tmp_path / "wheels"
    for name in ("client_sdk", "pharos", "core"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(wheels), str(tree)],
        capture_output=True,
        text=True,
    )
    if "No module named" in done.stderr + done.stdout or "BackendUnavailable" in done.stderr:
        pytest.skip("no setuptools here to build a wheel")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as packed:
        files = set(packed.namelist())
    assert {*map(str, sources), "client_sdk/php/facade.php"} <= files


def test_the_file_is_written_for_php_7_4() -> None:
    """Nothing in the client is newer than PHP 7.4, as far as words can tell."""
    text = sdk.php("Acme", "https://x.example", "k")
    newer = r"\bmatch \(|\?->|\breadonly\b|\benum\b|str_(contains|starts_with)|\): (mixed|static|never)\b|^\s*#\["
    assert re.findall(newer, text, re.MULTILINE) == []
    assert re.findall(r",\s*\)\s*(?::|\{)", text) == []  # a comma after the last parameter


def test_the_data_sheet_has_every_field() -> None:
    """The sheet names each field of a beacon once, the level that sends it, and what is kept how long."""
    done = pharos(Path("unused"), "datasheet", "--vendor", "Acme")
    assert done.returncode == 0
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \| (.+) \|$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == [field.path for field in FIELDS]
    assert [row[2] == "full" for row in rows] == [field.full for field in FIELDS]
    assert next(row for row in rows if row[0] == "install_id")[3] == "not kept"
    assert all(each.how_long in done.stdout for each in KEPT)
    assert "Acme" in done.stdout
