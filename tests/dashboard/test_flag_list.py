"""The list of flags on the page Installs."""

from typing import Any

import pytest

from dashboard.flag_list import flags_content


@pytest.mark.parametrize(
    ("id", "key", "case"),
    [
        ("00000000000000ab", None, "invoice_pro.install.00000000000000ab"),
        (None, "00000000000000cd", "invoice_pro.key.00000000000000cd"),
    ],
)
def test_a_flag_opens_its_case(id: str | None, key: str | None, case: str) -> None:
    """That of the install, or of the key where several installs share one."""
    flag: dict[str, Any] = {
        "id": id, "key": key, "module": "invoice_pro", "state": "open", "severity": "warning", "installs": 1,
        "rule": "unlicensed", "since": "2026-11-01", "pieces": [], "innocent": [],
    }  # fmt: skip
    _, (shown,), _ = flags_content({"flags": [flag], "incidents": []})
    assert f"/licensing/{case}" in str(shown)
