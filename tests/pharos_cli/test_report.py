"""`pharos report` where it cannot work. `tests/end_to_end/test_browser_frame.py` has one that does."""

from pathlib import Path

from tests.pharos_cli.command import pharos


def test_a_pdf_needs_chromium(tmp_path: Path) -> None:
    """It says what to do in place of it, before it asks the dashboard anything."""
    done = pharos(tmp_path / "home", "report", "--view", "Monday", "--out", str(tmp_path / "monday.PDF"), PATH="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "pharos: a PDF needs Chromium, which is not on the PATH: write an HTML file, and print it in a browser\n"
    )
    assert not (tmp_path / "monday.PDF").exists()
