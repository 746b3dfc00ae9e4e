"""The privacy page: each file, name, setting and test in it exists."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from core.settings import Settings
from tests.docs.markdown import ROOT, page, spans

PAGE = page("docs/privacy.md")
CLAUSES = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
    if cells[0] not in ("clause", "days held") and not cells[0].isdigit()
}
SETTINGS = {f"PHAROS_{field.name.upper()}" for field in fields(Settings)}
# What a vendor's policy says, and what an owner may ask.
EXPECTED = (
    "license status",
    "source",
    "public ip",
    "operating system",
    "virtualization",
    "feature usage",
    "support credentials",
    "geographic trends",
    "browser versions",
    "consent and opt-out",
    "third parties",
    "employees who need it",
    "cookies",
    "web beacons",
    "children",
    "place of storage",
    "security",
    "notice of a breach",
    "access",
    "correction",
    "deletion",
    "objection",
    "restriction",
    "portability",
    "changes of the policy",
)


def names(path: Path) -> set[str]:
    """Return what a Python file defines: functions, classes, methods and module-level names."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def there(named: str) -> bool:
    """Return whether `file`, `file:name` or `file::test` exists."""
    path, _, name = named.replace("::", ":").partition(":")
    return (ROOT / path).is_file() and (not name or name in names(ROOT / path))


def test_every_clause_of_a_policy_has_its_row() -> None:
    """The page has a row for each clause of a vendor's policy."""
    told = " ".join(CLAUSES).lower()
    assert [clause for clause in EXPECTED if clause not in told] == []


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_clause_names_what_is_there(clause: str) -> None:
    """Each row names an existing file, setting and test, or says that the clause does not concern telemetry."""
    holds, setting, test = CLAUSES[clause]
    code = [span for span in spans(holds) if "/" in span]
    tests = spans(test)
    assert [named for named in [*code, *tests] if not there(named)] == []
    assert {name.removesuffix("_FILE") for name in re.findall(r"PHAROS_[A-Z_]+", setting)} <= SETTINGS
    if not holds.startswith("Does not concern telemetry"):
        assert code
        assert tests
    assert all(re.fullmatch(r"tests/\S+\.py::test_\w+", each) for each in tests)


def test_what_is_not_there_is_noticed() -> None:
    """The check detects missing names and files."""
    assert there("warehouse/queries/small_groups.py:fold")
    assert not there("warehouse/queries/small_groups.py:unfold")
    assert not there("warehouse/no_such.py")
