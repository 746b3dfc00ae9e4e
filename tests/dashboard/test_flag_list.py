"""The list of flags on the page Installs."""

from typing import Any

from dash import html

from dashboard.flag_list import flags_content

FLAG: dict[str, Any] = {
    "id": None, "key": "00000000000000cd", "case": "invoice_pro.key.00000000000000cd", "module": "invoice_pro",
    "state": "open", "severity": "warning", "installs": 1, "rule": "unlicensed", "since": "2026-11-01", "pieces": [],
    "innocent": [],
}  # fmt: skip


def told(flags: list[dict[str, Any]], **more: str) -> tuple[list[html.Li], str]:
    """Return the flags of one install as the page lists them, and the note."""
    _, shown, note = flags_content({"flags": flags, "installs": 1, "incidents": [], **more})
    return shown, note


def test_a_flag_opens_its_case() -> None:
    """That of the install, or of the key where several installs share one."""
    (shown,), _ = told([FLAG])
    assert f"/licensing/{FLAG['case']}" in str(shown)


def test_an_install_counts_once() -> None:
    """As on the page Cases: with flags of two rules, or in two modules. Where a part is shown, there are more flags."""
    flags = [{**FLAG, "module": module} for module in ("invoice_pro", "ticket_ai")]
    assert told(flags)[1].startswith("2 flags of 1 install.")
    assert told(flags, next_cursor="more")[1].startswith("More than 2 flags of 1 install; ")
