"""`pharos report`: a saved view as one HTML or PDF file, made by the dashboard that runs."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

import click
import msgspec

from core import parts
from core.credentials import CredentialError, Credentials, Role
from core.home import put
from core.settings import Bind
from pharos.context import fail, load_settings, open_home

# A running dashboard may know a new token a moment later.
KNOWN_SECONDS = 5.0
TIMEOUT_SECONDS = 120.0
# Print HTML to PDF.
BROWSERS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to such a bind


@click.command()
@click.option("--view", "name", required=True, metavar="NAME", help="The name of the saved view.")
@click.option("--owner", default="", help="Its owner, if several users have a view of this name.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write: HTML, or with the ending .pdf a PDF, which needs Chromium.",
)
def report(name: str, owner: str, out: Path) -> None:
    """Write a saved view as one self-contained file. The dashboard must be running."""
    settings = load_settings()
    browser = _browser() if out.suffix.lower() == ".pdf" else ""
    home = open_home(settings)
    dashboard = parts.addresses(home, settings)["dashboard"]
    credentials = Credentials(home.credentials)
    token = credentials.add_token(Role.ADMIN, days=1, label="pharos report")
    try:
        status, body = _ask(dashboard, token, name, owner)
    except (OSError, HTTPException) as error:
        fail(f"the dashboard at {dashboard} does not answer: {type(error).__name__}")
    finally:
        with suppress(CredentialError):  # somebody else was faster
            credentials.revoke_token(token)
    if status != 200:
        fail(_reason(body))
    try:
        put(out, _printed(browser, body) if browser else body)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    click.echo(f"wrote {out}")


def _browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        fail("a PDF needs Chromium, which is not on the PATH: write an HTML file, and print it in a browser")
    return found


def _printed(browser: str, page: bytes) -> bytes:
    """Return a page, which has no scripts, as a PDF file."""
    with tempfile.TemporaryDirectory(prefix="pharos-") as name:
        folder = Path(name)
        (folder / "report.html").write_bytes(page)
        # Chromium does not begin as root with its sandbox.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [
            browser, *root, "--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer",
            f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'report.pdf'}",
            (folder / "report.html").as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(
                command, check=True, timeout=TIMEOUT_SECONDS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            return (folder / "report.pdf").read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            fail(f"{browser} cannot print the report: {type(error).__name__}")


def _ask(bind: Bind, token: str, name: str, owner: str) -> tuple[int, bytes]:
    from dashboard.permissions import VIEWS

    deadline = time.monotonic() + KNOWN_SECONDS
    while True:
        connection = HTTPConnection(EVERYWHERE.get(bind.host, bind.host), bind.port, timeout=TIMEOUT_SECONDS)
        try:
            path = f"{VIEWS}?{urlencode({'name': name, 'owner': owner})}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        finally:
            connection.close()
        if status != 401 or time.monotonic() > deadline:
            return status, body
        time.sleep(0.2)


def _reason(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return "the dashboard refused the report"
