"""The promises in docs/reliability.md and their tests."""

import re

from tests.docs.markdown import ROOT, page


def test_every_promise_names_tests_that_are_there() -> None:
    """Each row names a test file or command, and the files exist."""
    rows = [
        line for line in page("docs/reliability.md").splitlines() if line.startswith("| ") and "tests |" not in line
    ]
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row)
        assert named, row
        assert [name for name in named if not (ROOT / name).is_file()] == []
