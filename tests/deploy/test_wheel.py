"""The wheel contains what the packages need, so that it works without a clone."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FETCHED = ("dashboard/plotly-basic.min.js", "dashboard/countries-110m.json")  # by deploy/charts.sh, where npm is
PACKAGES = ("client_sdk/php", "collector", "core", "dashboard", "pharos", "warehouse")


def test_the_wheel_has_every_file_of_the_packages(tmp_path: Path) -> None:
    """Each tracked file of a package but its documentation is in the wheel, and what `deploy/charts.sh` fetches.

    Nothing of the tests is.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    files = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    for name in files:
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    for name in FETCHED:
        (tmp_path / "source" / name).write_bytes(b"fetched")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(tmp_path), str(tmp_path / "source")], check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    needed = {name for name in files if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    assert {name for name in needed if not name.endswith(".md")} <= inside
    assert set(FETCHED) <= inside
    assert not {name for name in inside if name.startswith("tests/")}
