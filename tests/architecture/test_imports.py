"""Imports run one way: `collector -> warehouse <- dashboard`, `core` below all of them, `pharos` above."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "core": {"core"},
    "warehouse": {"core", "warehouse"},
    "collector": {"collector", "core", "warehouse"},
    "dashboard": {"core", "dashboard", "warehouse"},
    "pharos": {"collector", "core", "dashboard", "pharos", "warehouse"},
}
DRIVERS = {"chdb", "clickhouse_connect"}


def imports(package: str) -> Iterator[tuple[str, str]]:
    """(file, top-level package) of every import in a package, those inside functions too."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                yield str(path.relative_to(ROOT)), name.split(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    """No import of the project's own packages points upwards or sideways."""
    found = list(imports(package))
    assert found
    assert {(file, name) for file, name in found if name in ALLOWED and name not in ALLOWED[package]} == set()


def test_only_the_warehouse_imports_the_driver() -> None:
    """Nothing outside `warehouse/` knows clickhouse-connect or chDB."""
    found = {(file, name) for package in ALLOWED for file, name in imports(package) if name in DRIVERS}
    assert found
    assert {file for file, _ in found if not file.startswith("warehouse/")} == set()


def test_a_command_loads_what_it_needs() -> None:
    """A command line loads no part, the collector neither Dash nor a driver. Neither hashes a password."""
    script = (
        "import hashlib, sys\n"
        "hashlib.scrypt = None\n"
        "import pharos.cli\n"
        "print(sorted({'collector', 'dashboard', 'flask', 'warehouse', 'werkzeug'} & set(sys.modules)))\n"
        "import collector.app\n"
        "print(sorted({'chdb', 'clickhouse_connect', 'dash', 'plotly'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=60)
    assert ran.stdout.decode().split() == ["[]", "[]"]
