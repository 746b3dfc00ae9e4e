"""Which Python `deploy/venv.sh` selects, with various versions and broken installations on the PATH."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
# A Python of any version, as far as venv.sh looks: what it lacks, it lacks until the package for it is installed.
PYTHON = """#!{real} -S
import sys
from pathlib import Path
sys.version_info = ({version}, 0)
here = Path(sys.argv[0]).parent
if not (here / "installed").exists():
    for name in {lacks}:
        sys.modules[name] = None
match sys.argv[1:]:
    case ["-V"]:
        print("Python {dotted}.0")
    case ["-c", code]:
        exec(code)
    case ["-m", "venv", folder]:
        Path(folder).mkdir()
        Path(folder, "of").write_text("python{dotted}")
"""


class Machine:
    """A machine with only the given Pythons on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.venv = folder / "bin", folder / "venv"
        self.bin.mkdir()
        self.script("id", "echo 1000")

    def script(self, name: str, *lines: str) -> None:
        """Put a shell script on the PATH."""
        (self.bin / name).write_text("\n".join(("#!/bin/sh", *lines, "")))
        (self.bin / name).chmod(0o755)

    def python(self, version: str, *lacks: str, name: str = "") -> None:
        """Put a Python on the PATH, as python3.x or another name, without the given modules."""
        code = PYTHON.format(real=sys.executable, version=version.replace(".", ", "), dotted=version, lacks=lacks)
        path = self.bin / (name or f"python{version}")
        path.write_text(code)
        path.chmod(0o755)

    def make(self, *named: str) -> tuple[str, str]:
        """Create the environment; return the version of its Python, if any, and the output."""
        done = subprocess.run(
            ["/bin/sh", ROOT / "deploy/venv.sh", self.venv, *named],
            env={"PATH": str(self.bin)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        made = (self.venv / "of").read_text() if self.venv.exists() else ""
        assert (done.returncode == 0) == bool(made), done.stdout
        return made, done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_that_is_supported_is_taken(machine: Machine) -> None:
    """Of 3.11 to 3.15 and an older python3, 3.14 is selected."""
    for version in (*SUPPORTED, "3.15"):
        machine.python(version)
    machine.python("3.9", name="python3")
    made, said = machine.make()
    assert made == "python3.14"
    assert "Skipping" not in said


@pytest.mark.parametrize("version", SUPPORTED)
def test_each_supported_python_is_taken(machine: Machine, version: str) -> None:
    """Each supported version is selected, also under the name python3."""
    machine.python(version, name="python3")
    assert machine.make()[0] == f"python{version}"


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.15", "4.0"])
def test_another_version_is_refused(machine: Machine, version: str) -> None:
    """An unsupported version is refused. The message has the found and the supported versions."""
    machine.python(version, name="python3")
    made, said = machine.make()
    assert made == ""
    assert f"Skipping {machine.bin}/python3: it is Python {version}, and Pharos needs 3.11 to 3.14." in said
    assert "sudo apt install python3" in said


def test_a_python_that_does_not_start_is_passed_over(machine: Machine) -> None:
    """A Python that does not start is skipped."""
    machine.script("python3.14", "echo 'command not found' >&2", "exit 127")
    machine.python("3.12")
    made, said = machine.make()
    assert made == "python3.12"
    assert f"Skipping {machine.bin}/python3.14: it does not start." in said


@pytest.mark.parametrize("module", ["sqlite3", "ssl"])
def test_a_python_that_was_built_without_a_module_is_passed_over(machine: Machine, module: str) -> None:
    """A Python without a required module is skipped."""
    machine.python("3.14", module)
    machine.python("3.11")
    made, said = machine.make()
    assert made == "python3.11"
    assert f"Skipping {machine.bin}/python3.14: it lacks the module sqlite3 or ssl." in said


def test_one_without_venv_is_passed_over_for_one_that_has_it(machine: Machine) -> None:
    """An older Python with venv comes before a newer one without."""
    machine.python("3.13", "ensurepip")
    machine.python("3.12")
    made, said = machine.make()
    assert made == "python3.12"
    assert f"Skipping {machine.bin}/python3.13: it lacks the module venv" in said


def test_what_venv_needs_is_named(machine: Machine) -> None:
    """Without root the message names the missing package."""
    machine.python("3.13", "ensurepip", name="python3")
    machine.script("apt-get", "exit 1")
    made, said = machine.make()
    assert made == ""
    assert "sudo apt install python3.13-venv" in said


def test_what_venv_needs_is_installed(machine: Machine) -> None:
    """As root the missing package is installed with apt."""
    machine.python("3.13", "ensurepip", name="python3")
    machine.script("id", "echo 0")
    machine.script("apt-get", f'case "$*" in *" python3.13-venv") : > {machine.bin}/installed;; esac')
    made, said = machine.make()
    assert made == "python3.13"
    assert "Installing the Debian package python3.13-venv" in said


def test_what_apt_cannot_install_is_named(machine: Machine) -> None:
    """If apt fails, the message names the package."""
    machine.python("3.13", "ensurepip", name="python3")
    machine.script("id", "echo 0")
    machine.script("apt-get", "exit 100")
    made, said = machine.make()
    assert made == ""
    assert "sudo apt install python3.13-venv" in said


def test_the_one_that_is_named_is_taken(machine: Machine) -> None:
    """`make PYTHON=...` uses the given Python, and refuses an unsupported one."""
    machine.python("3.14")
    machine.python("3.12", name="mine")
    assert machine.make("mine")[0] == "python3.12"
    shutil.rmtree(machine.venv)
    machine.python("3.10", name="mine")
    assert machine.make("mine")[0] == ""
    assert "There is no yours here." in machine.make("yours")[1]


def test_no_python_at_all(machine: Machine) -> None:
    """Without any Python the message says what to install."""
    assert "Pharos needs Python 3.11 to 3.14." in machine.make()[1]


def test_what_is_installed_is_what_everybody_gets() -> None:
    """The installed versions are those of constraints.txt for this Python."""
    given = [
        Requirement(line)
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    pins = {canonicalize_name(pin.name): pin.specifier for pin in given if not pin.marker or pin.marker.evaluate()}
    assert len(given) > 50
    there = {canonicalize_name(found.name): found.version for found in distributions()}
    assert {name: there[name] for name in there.keys() & pins.keys() if there[name] not in pins[name]} == {}
    # Python 3.11 puts its own pip and setuptools into each environment, later versions only pip.
    assert there.keys() - pins.keys() <= {"pharos", "pip", "setuptools"}


def test_the_versions_are_the_same_everywhere() -> None:
    """README, metadata, types, style and constraints name the same Python versions."""
    lowest, *_, highest = SUPPORTED
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert f"\npython_requires = >={lowest}\n" in setup
    assert f"\npython_version = {lowest}\n" in setup
    assert f'"py{lowest.replace(".", "")}"' in (ROOT / "ruff.toml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"--python-version {lowest} " in makefile
    assert f"for version in {' '.join(SUPPORTED)};" in makefile
    assert f"Python {lowest} to {highest}" in (ROOT / "README.md").read_text(encoding="utf-8")
    (image,) = re.findall(
        r"^ARG PYTHON_IMAGE=python:([\d.]+)-slim$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE
    )
    assert image in SUPPORTED
