"""`pharos report`: a saved view as one HTML file, made by the dashboard that runs."""

import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

import click
import msgspec

from core.credentials import Credentials, Role
from core.home import put
from core.settings import Bind
from pharos.context import fail, load_settings, open_home

# A running dashboard knows a new token a second later.
KNOWN_SECONDS = 5.0
TIMEOUT_SECONDS = 120.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to such a bind


@click.command()
@click.option("--view", "name", required=True, metavar="NAME", help="The name of the saved view.")
@click.option("--owner", default="", help="Its owner, if several users have a view of this name.")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The file to write."
)
def report(name: str, owner: str, out: Path) -> None:
    """Write a saved view as one self-contained HTML file. The dashboard must be running."""
    settings = load_settings()
    credentials = Credentials(open_home(settings).credentials)
    token = credentials.add_token(Role.ADMIN, days=1)
    try:
        status, body = _ask(settings.dashboard_bind, token, name, owner)
    except (OSError, HTTPException) as error:
        fail(f"the dashboard at {settings.dashboard_bind} does not answer: {type(error).__name__}")
    finally:
        credentials.revoke_secret(token)
    if status != 200:
        fail(_reason(body))
    try:
        put(out, body)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    click.echo(f"wrote {out}")


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
