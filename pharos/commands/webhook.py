"""`pharos webhook`: make its secret, and try the way to its receiver."""

import base64
import secrets
import time
from datetime import UTC, datetime

import click

from dashboard.webhook import test_event
from dashboard.webhook_post import PREFIX, NoAnswer, key_of, post
from pharos.context import fail, load_settings

SECRET_BYTES = 32


@click.group()
def webhook() -> None:
    """The webhook, which tells a system of the vendor what happens to licensing cases."""


@webhook.command("secret")
def webhook_secret() -> None:
    """Print a new secret for PHAROS_WEBHOOK_SECRET."""
    click.echo(PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())


@webhook.command("test")
def webhook_test() -> None:
    """Send a test event to PHAROS_WEBHOOK_URL, and say what the receiver answered."""
    settings = load_settings()
    if not settings.webhook_url:
        fail("PHAROS_WEBHOOK_URL is not set")
    id, body = test_event(datetime.now(UTC))
    try:
        status = post(settings.webhook_url, key_of(settings.webhook_secret), id, body, int(time.time()))
    except NoAnswer as error:
        fail(f"the receiver did not take the event: {error}")
    if not 200 <= status < 300:
        fail(f"the receiver did not take the event: it answered {status}")
    click.echo(f"the receiver answered {status}")
