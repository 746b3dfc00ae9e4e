"""The desk says how the webhook does, and tries the way to its receiver."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from core.settings import Settings
from pharos.cli import cli
from tests.dashboard.conftest import fill
from tests.dashboard.receiver import Receiver, receiving

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
Visit = Callable[[str | None], FlaskClient]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving(KEY) as receiver:
        yield receiver


@pytest.fixture
def settings(receiver: Receiver) -> Settings:
    return Settings(webhook_url=receiver.url, webhook_secret=SECRET)


def test_the_button_sends_a_test_event(visit: Visit, receiver: Receiver) -> None:
    """The licensing team gets the receiver's answer. Nobody else can press the button, nor can another site."""
    client = visit("licensing")
    shown = str(fill(client, "desk-outside"))
    assert "0 events to send" in shown
    with client.session_transaction() as session:
        token = session["csrf"]
    receiver.mode = "ok"
    answer = client.post("/licensing/webhook-test", data={"token": token})
    assert (answer.status_code, "The receiver: answered 204." in answer.text) == (200, True)
    receiver.mode, receiver.status = "fail", 500
    assert "answered 500" in client.post("/licensing/webhook-test", data={"token": token}).text
    assert [event["type"] for event in receiver.taken()] == ["test"]
    assert client.post("/licensing/webhook-test").status_code == 400
    assert visit("product").post("/licensing/webhook-test", data={"token": token}).status_code == 403
    assert visit(None).post("/licensing/webhook-test").status_code == 401


def test_the_command_sends_a_test_event(receiver: Receiver, tmp_path: Path) -> None:
    """It says what the receiver answered, and ends with 1 if the event was not taken."""
    environ = {"PHAROS_HOME": str(tmp_path), "PHAROS_WEBHOOK_URL": receiver.url}
    made = CliRunner().invoke(cli, ["webhook", "secret"]).output.strip()
    receiver.mode, receiver.status, receiver.key = "ok", 500, base64.b64decode(made.removeprefix("whsec_"))
    run = CliRunner(env={**environ, "PHAROS_WEBHOOK_SECRET": made}).invoke(cli, ["webhook", "test"])
    assert (run.exit_code, run.output, receiver.forged) == (0, "the receiver answered 204\n", [])
    receiver.mode = "fail"
    run = CliRunner(env={**environ, "PHAROS_WEBHOOK_SECRET": made}).invoke(cli, ["webhook", "test"])
    assert (run.exit_code, "it answered 500" in run.output) == (1, True)
    assert CliRunner().invoke(cli, ["webhook", "test"]).exit_code == 1
