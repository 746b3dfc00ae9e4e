"""Weekly digests: when they are due, what is sent, and that a failure is tried again."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from core.credentials import Credentials, Role
from core.saved_views import SavedViews, View
from core.settings import SettingError, Settings
from dashboard import digests
from dashboard.digests import Digests, due

URL = "smtp://user:p%40ss@mail.example:2525?from=pharos@example.com"
HOST = "https://pharos.example.com"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def view(**more: str) -> View:
    return View("product", "Monday", "/", "", mail="team@example.com", **{"saved": "2026-11-20T10:00:00Z", **more})


@pytest.mark.parametrize(
    ("now", "one", "is_due"),
    [
        ("2026-11-23 05:59", view(), False),  # a Monday
        ("2026-11-23 06:00", view(), True),
        ("2026-11-26 12:00", view(), True),
        ("2026-11-26 12:00", view(sent="2026-11-23"), False),
        ("2026-11-30 06:00", view(sent="2026-11-23"), True),
        ("2026-11-26 12:00", view(saved="2026-11-25T10:00:00Z"), False),
        ("2026-11-26 12:00", View("product", "no mail", "/", "", saved="2026-11-20T10:00:00Z"), False),
    ],
)
def test_a_digest_is_due_once_a_week_from_monday_morning(now: str, one: View, is_due: bool) -> None:
    """A dashboard that was off on Monday sends it later. A view that is new this week waits for the next."""
    assert due([one], at(now)) == ([one] if is_due else [])


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[EmailMessage]:
    """The e-mails that were sent."""
    mails: list[EmailMessage] = []
    monkeypatch.setattr(digests, "smtp", lambda _url: ("pharos@example.com", mails.append))
    return mails


@pytest.fixture
def views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SavedViews:
    found = SavedViews(tmp_path / "dashboard.sqlite")
    found.save(view())
    return found


def make(views: SavedViews, credentials: Credentials, render: Callable[[View, Role], str]) -> Digests:
    return Digests(
        views, credentials, render, lambda *_: None, lambda *_: None, URL, HOST, lambda: at("2100-11-30 12:00")
    )


def test_a_digest_is_sent_once_as_its_owner_sees_it(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage]
) -> None:
    """The report is the text and a file of the e-mail. The next look sends nothing."""
    roles: list[Role] = []

    def render(one: View, role: Role) -> str:
        roles.append(role)
        return f"<h1>{one.name}</h1>"

    sender = make(views, credentials, render)
    assert (sender.send_due(), sender.send_due()) == (1, 0)
    (mail,) = sent
    assert (mail["To"], mail["From"]) == ("team@example.com", "pharos@example.com")
    assert roles == [Role.PRODUCT]
    body: Any = mail.get_body(("html",))
    assert "<h1>Monday</h1>" in body.get_content()
    plain: Any = mail.get_body(("plain",))
    assert f"Open it: {HOST}/\n" in plain.get_content()
    assert [part.get_filename() for part in mail.iter_attachments()] == ["report.html"]


def test_a_digest_that_fails_is_sent_later(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage]
) -> None:
    """A failure is no crash, and marks nothing as sent."""
    tries: list[View] = []

    def render(one: View, _role: Role) -> str:
        tries.append(one)
        if len(tries) == 1:
            raise OSError("mail server away")
        return "<p>later</p>"

    sender = make(views, credentials, render)
    assert (sender.send_due(), len(sent)) == (0, 0)
    assert (sender.send_due(), len(sent)) == (1, 1)


def test_nothing_is_sent_for_a_user_who_is_gone(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage]
) -> None:
    """A removed login gets no figures."""
    credentials.remove_user("product")
    assert make(views, credentials, lambda *_: "").send_due() == 0
    assert sent == []


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example?from=a@b", "smtp://mail.example", "smtp://h?from=x"]
)
def test_a_bad_mail_server_stops_the_start(url: str) -> None:
    """The setting is checked when it is read."""
    with pytest.raises(SettingError, match="PHAROS_SMTP_URL"):
        Settings.from_environ({"PHAROS_SMTP_URL": url})
